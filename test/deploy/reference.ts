// Responsible for: the tables of docs/ that say what the program itself says: settings with their defaults and bounds, and
// what becomes of each field of Tyk. What a person writes is the last column; it is kept when a table is made anew.
// Must not know: which tables there are and where (reference.test.ts). Runs: per test, or to write the tables.

import { keepFixed, type LoadedSet } from "../../src/primary/loaded-set.js";
import { type Settings, settingsObject } from "../../src/shared/config/schema.js";
import type { Support } from "../../src/shared/model/support.js";

type Notes = ReadonlyMap<string, string>;

/** What stands between the two marks of a name. */
export interface Block {
  readonly before: string;
  readonly text: string;
  readonly after: string;
}

export function blockOf(page: string, name: string): Block {
  const [begin, end] = [`<!-- ${name}:begin -->\n`, `<!-- ${name}:end -->`];
  const from = page.indexOf(begin) + begin.length;
  const to = page.indexOf(end);
  if (from < begin.length || to < from) throw new Error(`the page has no block ${name}`);
  return { before: page.slice(0, from), text: page.slice(from, to), after: page.slice(to) };
}

/** By the name in a row's first cell, what its last one says. */
export function notesOf(text: string): Notes {
  const notes = new Map<string, string>();
  for (const line of text.split("\n")) {
    const name = /^\| `([^`]+)` \|/.exec(line)?.[1];
    if (name !== undefined) notes.set(name, line.slice(0, -2).split(" | ").at(-1)!.trim());
  }
  return notes;
}

/** Rows whose last cell is empty, which a person must fill. */
export function unexplained(text: string): readonly string[] {
  return [...notesOf(text)].filter(([, note]) => note === "" || note === "|").map(([name]) => name);
}

export function settingsTables(written: string): string {
  const notes = notesOf(written);
  const defaults: unknown = settingsObject.parse({});
  const fixed = restartSettings(defaults as Settings);
  const paths = leaves(settingsObject);
  const sections = new Map<string, string[]>();
  for (const path of paths) {
    if (isTwin(path, defaults)) continue;
    const name = path.join(".");
    const row = [
      `\`${name}\``,
      code(valueAt(defaults, path)),
      allowed(path),
      fixed.has(path[0]!) ? "restart" : "reload",
      notes.get(name) ?? "",
    ];
    const section = path.length === 1 ? "" : path[0]!;
    sections.set(section, [...(sections.get(section) ?? []), `| ${row.join(" | ")} |`]);
  }
  const head = "| setting | default | must be | in force after a | meaning |\n|---|---|---|---|---|\n";
  return [...sections]
    .map(([section, rows]) => `${section === "" ? "" : `\n### ${section}\n\n`}${head}${rows.join("\n")}\n`)
    .join("");
}

export function supportTable(table: Readonly<Record<string, Support>>, written: string): string {
  const notes = notesOf(written);
  const rows = Object.entries(table).map(([path, support]) => {
    const says = notes.get(path) ?? "";
    return `| \`${path}\` | ${outcome(support)} | ${"reason" in support ? support.reason : says} |`;
  });
  return `| field | what becomes of it | |\n|---|---|---|\n${rows.join("\n")}\n`;
}

function outcome(support: Support): string {
  if (support.effect === "supported") return "supported";
  if (support.effect === "quiet") return "accepted, nothing to do";
  const where = support.gate === undefined ? "" : " where it is switched on";
  return support.effect === "ignored" ? `ignored with a warning${where}` : `**refused**${where}`;
}

/** Settings that a reload keeps as they are. */
function restartSettings(old: Settings): ReadonlySet<string> {
  const other = Object.fromEntries(Object.keys(old).map((name) => [name, "other"])) as unknown as Settings;
  const next = { served: { settings: other, ports: [] } } as unknown as LoadedSet;
  return new Set(keepFixed(old, next).kept);
}

interface Schema {
  readonly def: {
    readonly type: string;
    readonly innerType?: Schema;
    readonly in?: Schema;
    readonly shape?: Readonly<Record<string, Schema>>;
  };
}

export function leaves(schema: unknown, path: readonly string[] = []): string[][] {
  const { def } = schema as Schema;
  const inner = def.innerType ?? (def.type === "pipe" ? def.in : undefined);
  if (inner !== undefined) return leaves(inner, path);
  if (def.shape === undefined) return [[...path]];
  return Object.entries(def.shape).flatMap(([name, member]) => leaves(member, [...path, name]));
}

/** The two sides of the engine have the same settings; the second is shown where its default differs. */
function isTwin(path: readonly string[], defaults: unknown): boolean {
  if (path[0] !== "engine" || path[1] !== "upstream") return false;
  return valueAt(defaults, path) === valueAt(defaults, ["engine", "downstream", path[2]!]);
}

function valueAt(from: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], from);
}

function code(value: unknown): string {
  const text = JSON.stringify(value);
  return `\`${text === "{}" || text === "[]" || typeof value !== "object" ? text : text.slice(0, 60)}\``;
}

/** The words in which a wrong value is refused. */
function allowed(path: readonly string[]): string {
  const wrong = path.reduceRight<unknown>(
    (value, name) => ({ [name]: value }),
    () => {},
  );
  const read = settingsObject.safeParse(wrong);
  const issue = read.error?.issues.find((each) => each.path.join(".") === path.join("."));
  return (issue?.message ?? "").replace(/^must be /, "").replaceAll("|", "\\|");
}
