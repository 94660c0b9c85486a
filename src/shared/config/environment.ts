// TYK_GW_… variables laid over the settings file.
// Responsible for their names and for reading text as a value. Must not know: what a setting means; bounds (schema.ts).
// Governed by Tyk's rule: prefix, then the Go field's path in upper case, `_` between levels and none inside a name;
// JSON text for objects and lists, or a comma list. Runs: at start and at a reload.

import type { z } from "zod";
import { isObject } from "../model/survey.js";
import { settingsObject } from "./schema.js";
import { SETTINGS_SUPPORT } from "./support.js";

export const PREFIX = "TYK_GW_";
/** Says that there is no settings file; read by the loader. */
export const OMIT_FILE = `${PREFIX}OMITCONFIGFILE`;

type Kind = "boolean" | "number" | "list" | "object" | "text" | "unknown";

interface Name {
  readonly path: readonly string[];
  readonly kind: Kind;
}

export interface Override {
  readonly variable: string;
  readonly path: readonly string[];
}

export interface Overlay {
  readonly document: Record<string, unknown>;
  readonly overrides: readonly Override[];
  readonly problems: readonly {
    readonly variable: string;
    readonly level: "error" | "warning";
    readonly message: string;
  }[];
}

// Where Go's field is called otherwise than the JSON name.
const GO_NAMES: Readonly<Record<string, string>> = {
  PORTWHITELIST: "ports_whitelist",
  DISABLEPORTWHITELIST: "disable_ports_whitelist",
  HTTPSERVEROPTIONS_CIPHERS: "http_server_options.ssl_ciphers",
};

const KINDS: Readonly<Record<string, Kind>> = {
  boolean: "boolean",
  number: "number",
  array: "list",
  record: "object",
};

export function overlayEnvironment(
  file: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): Overlay {
  const document = structuredClone(file) as Record<string, unknown>;
  const overrides: Override[] = [];
  const problems: Overlay["problems"][number][] = [];
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable];
    if (!variable.startsWith(PREFIX) || variable === OMIT_FILE || text === undefined) continue;
    const name = NAMES.get(variable.slice(PREFIX.length));
    if (name === undefined) {
      problems.push({ variable, level: "warning", message: "names no setting and has no effect" });
      continue;
    }
    if (text === "" && name.kind !== "text") continue;
    const value = readValue(text, name.kind);
    if (value === undefined) {
      problems.push({ variable, level: "error", message: "must be JSON text" });
      continue;
    }
    put(document, name.path, value);
    overrides.push({ variable, path: name.path });
  }
  return { document, overrides, problems };
}

/** Undefined only for text that should have been JSON; another wrong one is left for the schema to name. */
export function readValue(text: string, kind: Kind): unknown {
  if (kind === "boolean") return readBoolean(text);
  if (kind === "number") return readNumber(text);
  if (kind === "text") return text;
  if (kind === "object" || /^\s*[[{]/.test(text)) return readJsonText(text);
  if (kind === "list") return text.split(",").map((item) => readNumber(item.trim()));
  const flag = readBoolean(text);
  return typeof flag === "boolean" && !/^[01]$/.test(text) ? flag : readNumber(text);
}

// The words of Go's strconv.ParseBool.
function readBoolean(text: string): boolean | string {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : text;
}

function readNumber(text: string): number | string {
  return /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function readJsonText(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

function put(document: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let holder = document;
  for (const key of path.slice(0, -1)) {
    const next = holder[key];
    const inner: Record<string, unknown> = isObject(next) ? next : {};
    holder[key] = inner;
    holder = inner;
  }
  holder[path.at(-1)!] = value;
}

function collectNames(): Map<string, Name> {
  const names = new Map<string, Name>();
  const add = (path: readonly string[], kind: Kind) => {
    const name = path.map((key) => key.replaceAll("_", "").toUpperCase()).join("_");
    if (!names.has(name)) names.set(name, { path, kind });
  };
  walkSchema(settingsObject, [], add);
  for (const path of Object.keys(SETTINGS_SUPPORT)) add(path.split("."), "unknown");
  for (const [name, path] of Object.entries(GO_NAMES)) {
    const plain = path.replaceAll("_", "").replaceAll(".", "_").toUpperCase();
    names.set(name, names.get(plain) ?? { path: path.split("."), kind: "unknown" });
  }
  return names;
}

function walkSchema(
  schema: z.core.$ZodType,
  path: readonly string[],
  add: (path: readonly string[], kind: Kind) => void,
): void {
  const inner = bare(schema);
  const { def } = inner._zod;
  if (def.type === "object") {
    if (path.length > 0) add(path, "object");
    for (const [key, member] of Object.entries((def as z.core.$ZodObjectDef).shape))
      walkSchema(member, [...path, key], add);
    return;
  }
  add(path, KINDS[def.type] ?? "text");
}

/** Without defaults and transformations around it. */
function bare(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod;
  if (def.type === "default" || def.type === "prefault") return bare((def as z.core.$ZodDefaultDef).innerType);
  return def.type === "pipe" ? bare((def as z.core.$ZodPipeDef).in) : schema;
}

// Last, because it is made with everything above.
const NAMES = collectNames();
