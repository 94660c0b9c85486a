// What is wrong with something an operator wrote, as a value that can be printed, counted and sent.
// Responsible for the shape and the one line it prints as. Must not know: who finds problems, what follows from them.
// Runs: at start, at a reload, in lint.

export interface Problem {
  /** An error makes the settings unusable or leaves a definition out; a warning changes nothing that is served. */
  readonly level: "error" | "warning";
  /** The file as the operator named it, or `environment`. */
  readonly file: string;
  /** JSON path from the document's root, `$.proxy.target_list[1]`; the variable's name for the environment. */
  readonly path: string;
  /** What stood there, as JSON, shortened; empty where nothing stood there or where it may be a secret. */
  readonly found: string;
  /** What is wrong and what is allowed. */
  readonly message: string;
  /** The definition it belongs to, by name or api_id; empty for settings. */
  readonly api: string;
}

const FOUND_MAX = 80;

/** A value as it may stand in a message: JSON, at most a short line. */
export function showFound(value: unknown): string {
  if (value === undefined) return "";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > FOUND_MAX ? `${text.slice(0, FOUND_MAX)}…` : text;
}

/** `["proxy","target_list",1]` as `$.proxy.target_list[1]`; a key that is no plain name is quoted. */
export function jsonPath(keys: readonly PropertyKey[]): string {
  let path = "$";
  for (const key of keys) {
    if (typeof key === "number") path += `[${key}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(String(key))) path += `.${String(key)}`;
    else path += `[${JSON.stringify(String(key))}]`;
  }
  return path;
}

export function printProblem(problem: Problem): string {
  const api = problem.api === "" ? "" : ` [${printable(problem.api)}]`;
  const found = problem.found === "" ? "" : ` (found ${problem.found})`;
  const path = problem.path === "" ? "" : ` ${problem.path}`;
  return printable(`${problem.level}: ${problem.file}${path}${api}: ${problem.message}${found}`);
}

/** One line each, errors first, otherwise in the order they were found. */
export function prettify(problems: readonly Problem[]): string {
  const errors = problems.filter((problem) => problem.level === "error");
  const warnings = problems.filter((problem) => problem.level !== "error");
  return [...errors, ...warnings].map(printProblem).join("\n");
}

// A definition's name is text from a file: it must not start a new line or move a terminal's cursor.
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
