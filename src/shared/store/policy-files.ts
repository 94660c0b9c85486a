/**
 * Reads policies: one file of all (`policy_record_name`) or a folder of `<id>.json` (`policy_path`).
 * Must not know: keys. Governed by: Tyk's file mode; the name in the file or of the file overrides the inner id.
 * Runs: at start and reload, in the primary.
 *
 * A broken policy is a problem that names file and path; the others load. Keys that need the broken one are refused.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { type Policy, policySchema } from "../model/policy.js";

export interface PolicySettings {
  readonly policy_record_name?: string | undefined;
  readonly policy_path?: string | undefined;
  readonly allowUnsafeIds?: boolean | undefined;
}

export interface LoadedPolicies {
  readonly policies: Map<string, Policy>;
  /** Sentences for the operator. */
  readonly problems: string[];
}

const SAFE_ID = /^[a-zA-Z0-9._~-]+$/;

export function isSafePolicyId(id: string): boolean {
  return SAFE_ID.test(id) && id !== "." && id !== "..";
}

export function loadPolicies(settings: PolicySettings): LoadedPolicies {
  const loaded: LoadedPolicies = { policies: new Map(), problems: [] };
  if (settings.policy_path) readFolder(settings.policy_path, settings, loaded);
  else if (settings.policy_record_name) readRecord(settings.policy_record_name, settings, loaded);
  return loaded;
}

function readRecord(file: string, settings: PolicySettings, loaded: LoadedPolicies): void {
  const value = readJson(file, loaded);
  if (value === undefined) return;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    loaded.problems.push(
      `${file}: found ${Array.isArray(value) ? "a list" : typeof value}, allowed is an object of id → policy`,
    );
    return;
  }
  for (const [id, policy] of Object.entries(value)) take(file, id, policy, settings, loaded);
}

function readFolder(folder: string, settings: PolicySettings, loaded: LoadedPolicies): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    loaded.problems.push(`${folder}: ${(error as Error).message}`);
    return;
  }
  for (const name of names.filter((each) => each.endsWith(".json")).sort()) {
    const file = join(folder, name);
    const value = readJson(file, loaded);
    if (value !== undefined) take(file, basename(name, ".json"), value, settings, loaded);
  }
}

function readJson(file: string, loaded: LoadedPolicies): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    loaded.problems.push(`${file}: ${(error as Error).message}`);
    return undefined;
  }
}

function take(file: string, id: string, value: unknown, settings: PolicySettings, loaded: LoadedPolicies): void {
  if (settings.allowUnsafeIds !== true && !isSafePolicyId(id)) {
    loaded.problems.push(`${file}: policy id "${id}" may hold only letters, digits and . _ ~ -`);
    return;
  }
  const result = policySchema.safeParse(value);
  if (result.success) loaded.policies.set(id, { ...result.data, id });
  else loaded.problems.push(`${file}: policy "${id}": ${z.prettifyError(result.error)}`);
}
