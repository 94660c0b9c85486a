// Keys that stand twice in one object of a JSON text: JSON.parse keeps the last and says nothing.
// Responsible for finding them with their place, in a text that JSON.parse has taken. Must not know: what the text means.
// Governed by: RFC 8259 section 4. Runs: once per file an operator wrote; one pass, a set of names per open object.

export interface RepeatedKey {
  readonly path: readonly PropertyKey[];
  /** Of the later one. */
  readonly line: number;
  readonly column: number;
}

/** Whoever repeats itself a thousand times needs no thousand lines. */
const MOST_TOLD = 20;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;

interface Level {
  /** Undefined for a list. */
  readonly names: Set<string> | undefined;
  /** The key or the index of the member that is being read. */
  at: PropertyKey;
}

export function sayRepeated({ line, column }: RepeatedKey): string {
  return `stands here once more (line ${line}, column ${column}): the last one counts, what came before has no effect`;
}

export function repeatedKeys(source: string): RepeatedKey[] {
  const text = source.startsWith("\ufeff") ? source.slice(1) : source;
  const levels: Level[] = [];
  const found: RepeatedKey[] = [];
  for (let at = 0; at < text.length && found.length < MOST_TOLD; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      const level = levels.at(-1);
      if (
        level?.names !== undefined &&
        startsValue(text, end + 1) &&
        isRepeated(level, nameOf(text.slice(at, end + 1)))
      )
        found.push({ path: levels.map((each) => each.at), ...placeOf(text, at) });
      at = end;
    } else if (code === 0x7b) levels.push({ names: new Set(), at: "" });
    else if (code === 0x5b) levels.push({ names: undefined, at: 0 });
    else if (code === 0x7d || code === 0x5d) levels.pop();
    else if (code === COMMA) {
      const level = levels.at(-1);
      if (level !== undefined && typeof level.at === "number") level.at += 1;
    }
  }
  return found;
}

function isRepeated(level: Level, name: string): boolean {
  const { names } = level;
  level.at = name;
  if (names!.has(name)) return true;
  names!.add(name);
  return false;
}

/** Where the string that begins at `at` has its closing quote. */
function endOfString(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && text.charCodeAt(end) !== QUOTE) end += text.charCodeAt(end) === BACKSLASH ? 2 : 1;
  return end;
}

/** Behind a key stands a colon, behind any other string none. */
function startsValue(text: string, from: number): boolean {
  let at = from;
  while (" \t\r\n".includes(text[at] ?? "x")) at += 1;
  return text.charCodeAt(at) === COLON;
}

function nameOf(quoted: string): string {
  return quoted.includes("\\") ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
}

function placeOf(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
