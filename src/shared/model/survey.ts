// A document walked against its table of support: what is set, and what becomes of it.
// Responsible for when a value counts as set. Must not know: which fields there are, types of supported ones.
// Runs: once per document at load.

import { nearest } from "./likeness.js";
import { jsonPath, showFound } from "./problem.js";
import type { Support } from "./support.js";

type Json = Record<string, unknown>;

interface TableNode {
  support: Support | undefined;
  readonly children: Map<string, TableNode>;
}

export type SupportTree = TableNode;

export interface Finding {
  /** A refused one makes the document unusable; the others are served without the field. */
  readonly refused: boolean;
  readonly path: string;
  readonly found: string;
  readonly message: string;
}

/** False for what changes nothing: null, false, 0, empty text, and lists and objects of nothing else. */
export function doesSomething(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => !isSwitchedOff(item));
  if (isObject(value)) return Object.values(value).some(doesSomething);
  return value !== null && value !== undefined && value !== false && value !== 0 && value !== "";
}

// The items of Tyk's lists carry a switch of their own.
function isSwitchedOff(item: unknown): boolean {
  return isObject(item) && (item["disabled"] === true || item["enabled"] === false);
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function supportTree(table: Readonly<Record<string, Support>>): SupportTree {
  const root: TableNode = { support: undefined, children: new Map() };
  for (const [path, support] of Object.entries(table)) {
    let node = root;
    for (const key of path.split(".")) {
      const next = node.children.get(key) ?? { support: undefined, children: new Map() };
      node.children.set(key, next);
      node = next;
    }
    node.support = support;
  }
  return root;
}

export function survey(document: Json, tree: SupportTree): Finding[] {
  const findings: Finding[] = [];
  visitObject(document, tree, undefined, [], [], findings);
  return findings;
}

function visitObject(
  value: Json,
  node: TableNode,
  inherited: Support | undefined,
  path: readonly string[],
  parents: readonly Json[],
  findings: Finding[],
): void {
  const chain = [...parents, value];
  for (const [key, member] of Object.entries(value)) {
    const here = [...path, key];
    const child = node.children.get(key) ?? node.children.get("*");
    if (child === undefined && inherited === undefined) {
      unknown(key, member, node, here, findings);
      continue;
    }
    const support = child?.support ?? inherited;
    if (child !== undefined && child.children.size > 0) visitInner(member, child, support, here, chain, findings);
    else if (support !== undefined) judge(member, support, here, chain, findings);
  }
}

function visitInner(
  value: unknown,
  node: TableNode,
  support: Support | undefined,
  path: readonly string[],
  parents: readonly Json[],
  findings: Finding[],
): void {
  if (isObject(value)) visitObject(value, node, support, path, parents, findings);
  else if (doesSomething(value))
    findings.push({ refused: true, path: jsonPath(path), found: showFound(value), message: "must be an object" });
}

function judge(
  value: unknown,
  support: Support,
  path: readonly string[],
  parents: readonly Json[],
  findings: Finding[],
): void {
  if (support.effect === "supported" || support.effect === "quiet" || !doesSomething(value)) return;
  const finding = { path: jsonPath(path), found: showFound(value) };
  if (support.gate === undefined || support.gate(parents)) {
    const refused = support.effect === "refused";
    const outcome = refused ? "not served with it" : "served without it";
    findings.push({ ...finding, refused, message: `${support.reason}; ${outcome}` });
  } else if (support.effect === "refused" && (value === true || Array.isArray(value))) {
    findings.push({ ...finding, refused: false, message: "restricts nothing here, as in Tyk: its switch is off" });
  }
}

function unknown(key: string, value: unknown, node: TableNode, path: readonly string[], findings: Finding[]): void {
  // Tyk reads names whatever their case, so a restriction spelt otherwise is a restriction there, also one that says false.
  const meant = [...node.children.keys()].find((name) => name.toLowerCase() === key.toLowerCase());
  if (meant === undefined && !doesSomething(value)) return;
  const alike = nearest(key, node.children.keys());
  const hint = alike === undefined || alike === "*" ? "" : `; did you mean ${alike}?`;
  const message = meant === undefined ? `is not a known field and has no effect${hint}` : `must be written ${meant}`;
  findings.push({ refused: meant !== undefined, path: jsonPath(path), found: showFound(value), message });
}
