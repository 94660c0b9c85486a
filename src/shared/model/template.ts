// Listen paths and domains with variables in braces, as gorilla/mux reads them: `{name}` and `{name:pattern}`.
// Responsible for turning one into a regular expression, or into a sentence about what is wrong with it.
// Must not know: definitions, routing order. Runs: at load and when routes are compiled.

export type Compiled = { readonly pattern: RegExp } | { readonly problem: string };

export function hasVariables(text: string): boolean {
  return text.includes("{") || text.includes("}");
}

/** Matches the beginning of a path. */
export function compilePathTemplate(text: string): Compiled {
  return compile(text, "[^/]+", "", "");
}

/** Matches a whole host without its port, whatever its case. */
export function compileHostTemplate(text: string): Compiled {
  return compile(text, "[^.]+", "$", "i");
}

function compile(text: string, anything: string, end: string, flags: string): Compiled {
  let source = "^";
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf("{", at);
    const literal = open === -1 ? text.slice(at) : text.slice(at, open);
    if (literal.includes("}")) return { problem: "has a } without its {" };
    source += quote(literal);
    if (open === -1) break;
    const close = closingBrace(text, open);
    if (close === -1) return { problem: "has a { without its }" };
    const variable = readVariable(text.slice(open + 1, close), anything);
    if ("problem" in variable) return variable;
    source += `(?:${variable.source})`;
    at = close + 1;
  }
  try {
    return { pattern: new RegExp(source + end, flags) };
  } catch (error) {
    return { problem: `is not a valid regular expression: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function readVariable(inside: string, anything: string): { source: string } | { problem: string } {
  const colon = inside.indexOf(":");
  if (colon === -1) return inside === "" ? { problem: "has {} without a name" } : { source: anything };
  const source = inside.slice(colon + 1);
  if (colon === 0 || source === "") return { problem: `has {${inside}} where {name:pattern} is meant` };
  // On its own first: an unbalanced parenthesis must not close the group that is put around it.
  try {
    new RegExp(source);
  } catch {
    return { problem: `has {${inside}}, whose pattern is not a valid regular expression` };
  }
  // Go's expressions are linear, these backtrack: a repeated repetition lets one caller's path hold a worker.
  if (repeatsRepetition(source)) return { problem: `has {${inside}}, which repeats a repetition; write it as one` };
  return { source };
}

function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i;
  }
  return -1;
}

function quote(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** A group that holds an unbounded repetition, or alternatives, and is itself repeated without bound. */
function repeatsRepetition(source: string): boolean {
  const groups: boolean[] = [false];
  let inClass = false;
  for (let i = 0; i < source.length; i++) {
    const c = source[i];
    if (c === "\\") i++;
    else if (inClass) inClass = c !== "]";
    else if (c === "[") inClass = true;
    else if (c === "(") groups.push(false);
    else if (c === ")") {
      const risky = groups.pop() === true;
      const repeated = isUnbounded(source, i + 1);
      if (risky && repeated) return true;
      if ((risky || repeated) && groups.length > 0) groups[groups.length - 1] = true;
    } else if (c === "|" || isUnbounded(source, i)) groups[groups.length - 1] = true;
  }
  return false;
}

function isUnbounded(source: string, at: number): boolean {
  return source[at] === "*" || source[at] === "+" || /^\{\d+,\d*\}/.test(source.slice(at, at + 16));
}
