/**
 * Reads policies: one file of all (`policy_record_name`) or a folder of `<id>.json` (`policy_path`).
 * Must not know: keys. Governed by: Tyk's file mode; the name in the file or of the file overrides the inner id. Of a
 * folder each file is one policy: the other form there would be one policy without rights, which opens every API.
 * Runs: at start and reload, in the primary.
 *
 * A broken policy is a problem that names file and path; the others load. Keys that need the broken one are refused.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { valueAt } from "../model/document.js";
import { readJson } from "../model/json-text.js";
import { flawOfLimits } from "../model/limit-rules.js";
import type { MatchOptions } from "../model/path-pattern.js";
import { checkRights } from "../model/path-rules.js";
import { type Policy, policySchema } from "../model/policy.js";
import { jsonPath, type Problem, showFound } from "../model/problem.js";
import { repeatedKeys, sayRepeated } from "../model/repeated-keys.js";
import { isObject } from "../model/survey.js";
import { unknownFields } from "../model/unknown-fields.js";

export interface PolicySettings {
  readonly policy_record_name?: string | undefined;
  readonly policy_path?: string | undefined;
  readonly allowUnsafeIds?: boolean | undefined;
  /** How paths are compared, to tell which patterns cannot be used. */
  readonly matching?: MatchOptions | undefined;
}

export interface LoadedPolicies {
  readonly policies: ReadonlyMap<string, Policy>;
  /** By id, the file that each was read from. */
  readonly files: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

const MAP =
  "policies stand by id in this file, which is the form of policy_record_name; policy_path has one policy in each file";
const SAFE_ID = /^[a-zA-Z0-9._~-]+$/;
const SEARCHED: MatchOptions = { prefix: false, suffix: false, plain: "exact", ignoreCase: false };

export function isSafePolicyId(id: string): boolean {
  return SAFE_ID.test(id) && id !== "." && id !== "..";
}

export function loadPolicies(settings: PolicySettings): LoadedPolicies {
  const reader = new Reader(settings);
  if (settings.policy_path) reader.folder(settings.policy_path);
  else if (settings.policy_record_name) reader.record(settings.policy_record_name);
  return reader;
}

class Reader implements LoadedPolicies {
  readonly policies = new Map<string, Policy>();
  readonly files = new Map<string, string>();
  readonly problems: Problem[] = [];
  readonly #settings: PolicySettings;

  constructor(settings: PolicySettings) {
    this.#settings = settings;
  }

  record(file: string): void {
    const value = this.#json(file);
    if (value === undefined) return;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      this.#error(file, "$", "must be an object of id: policy", showFound(value));
    else for (const [id, policy] of Object.entries(value)) this.#take(file, id, policy, [id]);
  }

  folder(folder: string): void {
    let names: string[];
    try {
      names = readdirSync(folder);
    } catch (error) {
      this.#error(folder, "", `policies cannot be read: ${(error as Error).message}`);
      return;
    }
    for (const name of names.filter((each) => each.endsWith(".json")).sort()) {
      const file = join(folder, name);
      const value = this.#json(file);
      if (value === undefined) continue;
      const inner = policyInside(value);
      if (inner === undefined) this.#take(file, basename(name, ".json"), value, []);
      else this.#error(file, jsonPath([inner]), `${MAP}: move what stands here into ${inner}.json, without its name`);
    }
  }

  #json(file: string): unknown {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      this.#error(file, "", `policies cannot be read: ${(error as Error).message}`);
      return undefined;
    }
    const json = readJson(text);
    if (!("value" in json)) {
      this.#error(file, "", `is not JSON at line ${json.line}, column ${json.column}: ${json.message}`);
      return undefined;
    }
    for (const key of repeatedKeys(text)) this.#warn(file, jsonPath(key.path), sayRepeated(key));
    return json.value;
  }

  /** `at` is where the policy stands in its file. */
  #take(file: string, id: string, value: unknown, at: readonly PropertyKey[]): void {
    if (this.#settings.allowUnsafeIds !== true && !isSafePolicyId(id)) {
      this.#error(file, jsonPath(at), `the id "${id}" may hold only letters, digits and . _ ~ -`);
      return;
    }
    const before = this.problems.length;
    const refuse = (path: readonly PropertyKey[], message: string) =>
      this.#error(file, jsonPath([...at, ...path]), message, showFound(valueAt(value, path)));
    const read = policySchema.safeParse(value);
    if (read.success) checkRights(read.data.access_rights, this.#settings.matching ?? SEARCHED, refuse);
    else for (const { path, message } of read.error.issues) refuse(path, message);
    if (!read.success || this.problems.length > before) return;
    this.policies.set(id, { ...read.data, id });
    this.files.set(id, file);
    this.#advise(file, id, value, read.data, at);
  }

  /** What is taken as it is, and was hardly meant so. */
  #advise(file: string, id: string, value: unknown, policy: Policy, at: readonly PropertyKey[]): void {
    for (const { path, message } of unknownFields(policySchema, value))
      this.#warn(file, jsonPath([...at, ...path]), message, showFound(valueAt(value, path)));
    const own = policy.id ?? "";
    if (at.length === 0 && own !== "" && own !== id)
      this.#warn(file, "$.id", `is not the file's name, which counts: keys must say "${id}"`, showFound(own));
    const flaw = flawOfLimits(policy, at);
    if (flaw !== undefined) this.#warn(file, flaw.path, flaw.message);
  }

  #warn(file: string, path: string, message: string, found = ""): void {
    this.problems.push({ level: "warning", file, path, found, message, api: "" });
  }

  #error(file: string, path: string, message: string, found = ""): void {
    this.problems.push({ level: "error", file, path, found, message, api: "" });
  }
}

/** The first policy of a map by id where one policy should be; undefined for what is one policy. */
function policyInside(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const names = Object.keys(value);
  if (names.some((name) => Object.hasOwn(policySchema.shape, name))) return undefined;
  return names.find((name) => looksLikePolicy(value[name]));
}

function looksLikePolicy(value: unknown): boolean {
  return isObject(value) && ["id", "access_rights", "rate", "quota_max", "partitions"].some((name) => name in value);
}
