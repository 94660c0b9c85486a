// The settings file and the definitions' folder read into one configuration, with everything that is wrong with it.
// Responsible for files: which are read, what is said when they cannot be. What they mean is src/shared/model's.
// Must not know: workers, sockets. Runs: at start, at a reload, in lint; synchronous, because nothing else goes on then.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CertificateCollection, type Certificates } from "../shared/certificates/collection.js";
import { OMIT_FILE } from "../shared/config/environment.js";
import { type ReadSettings, readSettings } from "../shared/config/read.js";
import type { Settings } from "../shared/config.js";
import type { ApiDefinition, ClosedPath } from "../shared/model/api-definition.js";
import { type Assembly, assemble, type LeftOut, type ListenPort } from "../shared/model/assembly.js";
import { type Judgement, judgeDefinition } from "../shared/model/definition.js";
import { readJson } from "../shared/model/json-text.js";
import { jsonPath, type Problem, showFound } from "../shared/model/problem.js";
import { repeatedKeys, sayRepeated } from "../shared/model/repeated-keys.js";
import { judgeUnreadable } from "../shared/model/unreadable.js";
import { openToOthers } from "./permissions.js";

export type { LeftOut, ListenPort } from "../shared/model/assembly.js";

export interface LoadedConfiguration {
  /** Undefined only when the settings themselves are broken. */
  readonly settings: Settings | undefined;
  /** Those that are served. */
  readonly definitions: readonly ApiDefinition[];
  /** Paths of definitions that were left out; for compileRoutes, so that nothing else answers there. */
  readonly closed: readonly ClosedPath[];
  readonly left_out: readonly LeftOut[];
  readonly ports: readonly ListenPort[];
  /** What settings and definitions refer to by path or as PEM. */
  readonly certificates: Certificates;
  readonly problems: readonly Problem[];
  /** True when there is nothing to start with: broken settings, no folder, or none of its definitions can be served. */
  readonly fatal: boolean;
}

/** Also what lint needs to give advice. */
export interface Load {
  readonly configuration: LoadedConfiguration;
  readonly read: ReadSettings | undefined;
  readonly judgements: readonly Judgement[];
  /** By which policies can be judged, also where the settings themselves cannot be used; undefined where nothing can be read. */
  readonly provisional: Settings | undefined;
  readonly file: string;
  /** A sentence for each certificate whose end is near or past; a running gateway tells by itself (expiry.ts). */
  readonly expiring: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const SEARCHED = ["tyk.conf", "/etc/tyk/tyk.conf"];
/** Beside a definition in other forms; its classic file is the one that is read. */
const COMPANIONS = ["-oas.json", "-mcp.json"];

export function loadConfiguration(confPath: string | undefined, env: Environment): LoadedConfiguration {
  return load(confPath, env).configuration;
}

export function load(confPath: string | undefined, env: Environment): Load {
  const found = findSettings(confPath, env);
  if ("problem" in found) return broken(found.file, undefined, [found.problem]);
  const readFile = (path: string) => readFileSync(path, "utf8");
  const read = readSettings(found.document, found.file, { env, readFile });
  const own = [...found.problems, ...read.problems];
  if (read.settings === undefined) return beside(found.file, read, own);
  const collection = new CertificateCollection(read.settings, readFile);
  const unusable: Problem[] = [];
  const settings = collection.settings(read.settings, (path, message) =>
    unusable.push(error(found.file, jsonPath(path), message)),
  );
  if (unusable.length > 0) return beside(found.file, read, [...own, ...unusable]);
  const folder = readFolder(settings, found.file, read);
  const judgements = folder.judgements.map((judgement) => withCertificates(judgement, collection));
  const assembly = assemble(judgements, settings);
  const problems = [...own, ...folder.problems, ...assembly.problems];
  problems.push(...frontWithoutCertificate(settings, assembly.definitions, found.file));
  problems.push(...openToOthers(settings, assembly.definitions, found.file));
  const nothing = !folder.unreadable && assembly.definitions.length === 0;
  // An empty gateway waits for its first definition; one whose every definition is broken is somebody's mistake.
  const fatal = folder.unreadable || (nothing && assembly.left_out.length > 0);
  if (nothing) problems.push(nothingLeft(settings, assembly));
  const { definitions, closed, left_out, ports } = assembly;
  const certificates = collection.records;
  const configuration = { settings, definitions, closed, left_out, ports, certificates, problems, fatal };
  const expiring = collection.expiring(Date.now(), settings.security.certificate_expiry_monitor.warning_threshold_days);
  return { configuration, read, judgements, provisional: settings, file: found.file, expiring };
}

/** The settings cannot be used; what is wrong with the definitions is told all the same, so that nobody mends in rounds. */
function beside(file: string, read: ReadSettings, problems: readonly Problem[]): Load {
  const { provisional, document } = read;
  const folder = document["app_path"];
  if (provisional === undefined || (folder !== undefined && typeof folder !== "string"))
    return broken(file, read, problems);
  const found = readFolder(provisional, file, read);
  const load = broken(file, read, [
    ...problems,
    ...found.problems,
    ...found.judgements.flatMap((judgement) => judgement.problems),
  ]);
  return { ...load, provisional };
}

/** A definition that names a certificate which cannot be used is left out: it would be served with less protection. */
function withCertificates(judgement: Judgement, collection: CertificateCollection): Judgement {
  if (judgement.definition === undefined) return judgement;
  const { file, api } = judgement;
  const problems = [...judgement.problems];
  const definition = collection.definition(judgement.definition, (path, message) =>
    problems.push({ level: "error", file, path: jsonPath(path), found: "", message, api }),
  );
  const usable = problems.length === judgement.problems.length;
  return { ...judgement, definition: usable ? definition : undefined, problems };
}

function broken(file: string, read: ReadSettings | undefined, problems: readonly Problem[]): Load {
  const configuration: LoadedConfiguration = {
    settings: undefined,
    definitions: [],
    closed: [],
    left_out: [],
    ports: [],
    certificates: {},
    problems,
    fatal: true,
  };
  return { configuration, read, judgements: [], provisional: undefined, file, expiring: [] };
}

type Found =
  | { readonly file: string; readonly document: unknown; readonly problems: readonly Problem[] }
  | { readonly file: string; readonly problem: Problem };

function findSettings(confPath: string | undefined, env: Environment): Found {
  if (/^(1|t|true)$/i.test(env[OMIT_FILE] ?? "")) return { file: "environment", document: {}, problems: [] };
  const candidates = confPath === undefined ? SEARCHED : [confPath];
  for (const file of candidates) {
    const text = readText(file);
    if ("code" in text) {
      if (text.code === "ENOENT" && confPath === undefined) continue;
      return { file, problem: error(file, "", `cannot be read (${text.code})`) };
    }
    const json = readJson(text.text);
    if ("value" in json) return { file, document: json.value, problems: repeated(text.text, file, "") };
    return {
      file,
      problem: error(file, "", `is not JSON at line ${json.line}, column ${json.column}: ${json.message}`),
    };
  }
  const file = SEARCHED[0]!;
  const message = `no settings file: neither ${SEARCHED.join(" nor ")} exists; name one with --conf or set ${OMIT_FILE}=true`;
  return { file, problem: error(file, "", message) };
}

interface Folder {
  readonly judgements: readonly Judgement[];
  readonly problems: readonly Problem[];
  readonly unreadable: boolean;
}

function readFolder(settings: Settings, conf: string, { overrides }: ReadSettings): Folder {
  const folder = settings.app_path;
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  } catch (fault) {
    const variable = overrides.find(({ path }) => path.join() === "app_path")?.variable;
    const message = `cannot be read (${codeOf(fault)}): it must be a folder of definitions`;
    const problem =
      variable === undefined ? error(conf, "$.app_path", message) : error("environment", variable, message);
    return { judgements: [], problems: [{ ...problem, found: showFound(folder) }], unreadable: true };
  }
  const judgements: Judgement[] = [];
  const problems: Problem[] = [];
  // The order of files decides between two that want the same, so it must not hang on the file system.
  for (const name of names.sort()) {
    const file = join(folder, name);
    if (COMPANIONS.some((ending) => name.endsWith(ending)))
      problems.push(warning(file, "is a companion in a form that is not read; only classic definitions are"));
    else judgements.push(judgeFile(file, settings));
  }
  return { judgements, problems, unreadable: false };
}

function judgeFile(file: string, settings: Settings): Judgement {
  const text = readText(file);
  if ("code" in text) return unreadableFile(file, text.code);
  const json = readJson(text.text);
  if (!("value" in json)) return judgeUnreadable(text.text, file, settings, json);
  const judgement = judgeDefinition(json.value, file, settings);
  return { ...judgement, problems: [...judgement.problems, ...repeated(text.text, file, judgement.api)] };
}

function repeated(text: string, file: string, api: string): Problem[] {
  return repeatedKeys(text).map((key) => ({ ...warning(file, sayRepeated(key)), path: jsonPath(key.path), api }));
}

function unreadableFile(file: string, code: string): Judgement {
  const problems = [error(file, "", `cannot be read (${code})`)];
  return { file, api: file, api_id: "", active: true, definition: undefined, place: undefined, problems };
}

function readText(file: string): { readonly text: string } | { readonly code: string } {
  try {
    return { text: readFileSync(file, "utf8") };
  } catch (fault) {
    return { code: codeOf(fault) };
  }
}

function codeOf(fault: unknown): string {
  return fault instanceof Error && "code" in fault ? String(fault.code) : String(fault);
}

/** It is served all the same: who adds the certificate by a reload need not start anew. */
function frontWithoutCertificate(settings: Settings, definitions: readonly ApiDefinition[], file: string): Problem[] {
  const { use_ssl, ssl_certificates, certificates } = settings.http_server_options;
  const named =
    ssl_certificates.length + certificates.length > 0 || definitions.some((api) => api.certificates.length > 0);
  if (!use_ssl || named) return [];
  const control = settings.control_api_port === 0 ? "" : `, and none on the control port ${settings.control_api_port}`;
  const message = `is on and nothing names a certificate: no handshake succeeds on the main port${control}; name one with its key in http_server_options.ssl_certificates and reload, or set use_ssl to false`;
  return [{ ...error(file, "$.http_server_options.use_ssl", message), found: "true" }];
}

function nothingLeft(settings: Settings, assembly: Assembly): Problem {
  const left = assembly.left_out.length;
  if (left === 0) return warning(settings.app_path, "holds no active definition: nothing is served yet");
  return error(settings.app_path, "", `nothing is left to serve: all ${left} active definitions were left out`);
}

function error(file: string, path: string, message: string): Problem {
  return { level: "error", file, path, found: "", message, api: "" };
}

function warning(file: string, message: string): Problem {
  return { level: "warning", file, path: "", found: "", message, api: "" };
}
