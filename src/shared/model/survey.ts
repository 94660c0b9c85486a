// A document walked against its table of support: what is set, and what becomes of it.
// Responsible for when a value counts as set. Must not know: which fields there are, types of supported ones.
// Runs: once per document at load.

import { nearest } from "./likeness.js";
import { jsonPath, showFound } from "./problem.js";
import type { Support } from "./support.js";

type Json = Record<string, unknown>;
type Path = readonly PropertyKey[];

interface TableNode {
  support: Support | undefined;
  /** What is said of the whole holds for no unknown member. */
  isClosed: boolean;
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

/** `parts`: what is known below a field that is read as a whole; there another name is an unknown one. */
export function supportTree(
  table: Readonly<Record<string, Support>>,
  parts: Readonly<Record<string, readonly string[]>> = {},
): SupportTree {
  const root = emptyNode();
  for (const [path, support] of Object.entries(table)) nodeAt(root, path.split(".")).support = support;
  for (const [path, names] of Object.entries(parts)) {
    const node = nodeAt(root, path.split("."));
    node.isClosed = true;
    for (const name of names) nodeAt(node, [name]).support ??= { effect: "supported" };
  }
  return root;
}

function nodeAt(root: TableNode, path: readonly string[]): TableNode {
  let node = root;
  for (const key of path) {
    const next = node.children.get(key) ?? emptyNode();
    node.children.set(key, next);
    node = next;
  }
  return node;
}

function emptyNode(): TableNode {
  return { support: undefined, isClosed: false, children: new Map() };
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
  path: Path,
  parents: readonly Json[],
  findings: Finding[],
): void {
  const chain = [...parents, value];
  const whole = node.isClosed ? undefined : inherited;
  for (const [key, member] of Object.entries(value)) {
    const here = [...path, key];
    const child = node.children.get(key) ?? node.children.get("*");
    if (child === undefined && whole === undefined) {
      unknown(key, member, node, here, findings);
      continue;
    }
    const support = child?.support ?? whole;
    if (child !== undefined && child.children.size > 0) visitInner(member, child, support, here, chain, findings);
    else if (support !== undefined) judge(member, support, here, chain, findings);
  }
}

function visitInner(
  value: unknown,
  node: TableNode,
  support: Support | undefined,
  path: Path,
  parents: readonly Json[],
  findings: Finding[],
): void {
  const items = node.children.get("[]");
  if (items !== undefined && Array.isArray(value)) {
    // What is refused or goes unread as a whole is told once and not per item.
    if (support !== undefined && support.effect !== "supported") judge(value, support, path, parents, findings);
    else for (const [at, item] of value.entries()) visitItem(item, items, [...path, at], parents, findings);
  } else if (isObject(value)) visitObject(value, node, support, path, parents, findings);
  else if (items === undefined && doesSomething(value))
    findings.push({ refused: true, path: jsonPath(path), found: showFound(value), message: "must be an object" });
}

/** An item that is no object is its schema's to refuse. */
function visitItem(value: unknown, node: TableNode, path: Path, parents: readonly Json[], findings: Finding[]): void {
  if (isObject(value)) visitObject(value, node, undefined, path, parents, findings);
}

function judge(value: unknown, support: Support, path: Path, parents: readonly Json[], findings: Finding[]): void {
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

function unknown(key: string, value: unknown, node: TableNode, path: Path, findings: Finding[]): void {
  // Tyk reads names whatever their case, so a restriction spelt otherwise is a restriction there, also one that says false.
  const meant = [...node.children.keys()].find((name) => name.toLowerCase() === key.toLowerCase());
  if (meant === undefined && !doesSomething(value)) return;
  const alike = nearest(key, node.children.keys());
  const hint = alike === undefined || alike === "*" ? "" : `; did you mean ${alike}?`;
  const message = meant === undefined ? `is not a known field and has no effect${hint}` : `must be written ${meant}`;
  findings.push({ refused: meant !== undefined, path: jsonPath(path), found: showFound(value), message });
}
