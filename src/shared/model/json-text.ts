// JSON from a file an operator wrote: the value, or where and why the text stops being JSON.
// JSON.parse decides what JSON is; only when it refuses is the text read again here, to find line and column (its own
// message often names neither). Must not know: what the document means. Runs: once per file.

export type JsonText =
  | { readonly value: unknown }
  | { readonly line: number; readonly column: number; readonly message: string };

const DEPTH_MAX = 200;

export function readJson(source: string): JsonText {
  // A byte order mark, which some editors write, is no part of the text.
  const text = source.startsWith("\ufeff") ? source.slice(1) : source;
  try {
    const value: unknown = JSON.parse(text);
    return isDeep(value, 0) ? { line: 1, column: 1, message: `nested deeper than ${DEPTH_MAX}` } : { value };
  } catch {
    const fault = findFault(text);
    const before = text.slice(0, fault.at).split("\n");
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, message: fault.message };
  }
}

/** Whatever reads the value next may call itself once a level. */
function isDeep(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (depth === DEPTH_MAX) return true;
  for (const member of Object.values(value)) if (isDeep(member, depth + 1)) return true;
  return false;
}

interface Fault {
  readonly at: number;
  readonly message: string;
}

const TOKEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside strings
  /[ \t\r\n]*(?:([{}[\]:,])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|true(?!\w)|false(?!\w)|null(?!\w)))/y;

/** One token after the other with a stack of what is open; `state` is what may stand next. */
function findFault(text: string): Fault {
  const open: ("{" | "[")[] = [];
  let state: State = "value";
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    const start = at + (/^[ \t\r\n]*/.exec(text.slice(at))?.[0].length ?? 0);
    if (match === null) return { at: start, message: unreadable(text, start, state, open) };
    at = TOKEN.lastIndex;
    const token = match[1] ?? (match[2] !== undefined ? '"' : "v");
    const next = follow(state, token, open);
    if (next === undefined) return { at: start, message: `${expected(state, open)}, found ${show(text, start)}` };
    if (open.length > DEPTH_MAX) return { at: start, message: `nested deeper than ${DEPTH_MAX}` };
    state = next;
  }
}

type State = "value" | "value or ]" | "key or }" | "key" | ":" | ", or end";

function follow(state: State, token: string, open: ("{" | "[")[]): State | undefined {
  if (state === "value" || state === "value or ]") {
    if (token === "{" || token === "[") {
      open.push(token);
      return token === "{" ? "key or }" : "value or ]";
    }
    if (token === "]" && state === "value or ]") return close(open);
    return token === '"' || token === "v" ? ", or end" : undefined;
  }
  if (state === "key or }" || state === "key") {
    if (token === "}" && state === "key or }") return close(open);
    return token === '"' ? ":" : undefined;
  }
  if (state === ":") return token === ":" ? "value" : undefined;
  const inner = open.at(-1);
  if (token === "," && inner !== undefined) return inner === "{" ? "key" : "value";
  if ((token === "}" && inner === "{") || (token === "]" && inner === "[")) return close(open);
  return undefined;
}

function close(open: ("{" | "[")[]): State {
  open.pop();
  return ", or end";
}

function expected(state: State, open: ("{" | "[")[]): string {
  if (state === "key") return "expected a key in double quotes (no comma stands before })";
  if (state === "key or }") return "expected a key in double quotes or }";
  if (state === ":") return "expected : after the key";
  if (state === "value or ]") return "expected a value or ]";
  if (state === "value")
    return open.at(-1) === "[" ? "expected a value (no comma stands before ])" : "expected a value";
  if (open.length === 0) return "expected nothing after the value";
  return open.at(-1) === "{" ? "expected , or }" : "expected , or ]";
}

function unreadable(text: string, at: number, state: State, open: ("{" | "[")[]): string {
  if (at >= text.length) return `${expected(state, open)}, found the end of the file`;
  if (text[at] === '"') return "a string that does not end, or holds a control character or an unknown escape";
  return `${expected(state, open)}, found ${show(text, at)}`;
}

function show(text: string, at: number): string {
  return JSON.stringify(/^[\w.+-]{2,20}/.exec(text.slice(at, at + 20))?.[0] ?? text[at] ?? "");
}
