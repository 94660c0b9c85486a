/**
 * Paths of lists and rights, as an operator writes them, made into tests of a path.
 * Responsible for: Tyk's pattern forms, exact matching of plain strings, bounds against patterns that take for ever.
 * Must not know: what a match leads to. Governed by: Tyk's `http_server_options` prefix and suffix matching.
 * Runs: compiled once per definition or session, tested once per distinct path.
 *
 * Plain strings. `/pkg.Service/Method` without prefix or suffix option is compared, `/pkg.Service` or `/pkg.Service/` names
 * the whole service. Tyk searches it as an unanchored expression in which `.` is any character, so that
 * `/helloworld.Greeter/SayHello` admits `/xhelloworldXGreeter/SayHelloAgain` too. Lists that grant something use the exact
 * form unless `plain_path_matching` is "regex"; lists that deny use Tyk's, which denies at least as much.
 *
 * Time. Node has no linear-time expressions and RE2 needs an install script. So: patterns have a maximum length; those
 * with a repetition or a choice inside a repetition (exponential) are refused with a sentence; the more repetitions a
 * pattern has, the shorter the texts it is tried on (`STEPS`), and a longer text counts as what is safe: not granted, denied,
 * limited; a decision is remembered, so that a path is tested once, not per call.
 */

export const MAX_PATTERN = 1_024;
export const MAX_PATH = 2_048;

export interface MatchOptions {
  readonly prefix: boolean;
  readonly suffix: boolean;
  readonly plain: "exact" | "regex";
  readonly ignoreCase: boolean;
  /** Whether a text too long to be tried counts as a match: true where matching restricts. */
  readonly tooLong?: boolean | undefined;
}

/** An expression with the longest text it may be tried on. */
export interface Expression {
  readonly limit: number;
  exec(text: string): RegExpExecArray | null;
}

/** A test of a path; `problem` when the pattern cannot be used, which then matches nothing. */
export interface PathPattern {
  readonly source: string;
  readonly problem: string | undefined;
  matches(path: string): boolean;
}

const PLAIN = /^\/[\w.~/-]*$/;
const PLACEHOLDER = /\{[^{}]*\}/g;
/** `(a+)+`, `(a|b)*`, `(a{2,})+`: what makes backtracking exponential. A heuristic; it refuses some harmless ones. */
const NESTED_REPETITION = /\((?:[^()\\]|\\.)*(?:[*+|]|\{\d+,\d*\})(?:[^()\\]|\\.)*\)(?:[*+]|\{\d+,?\d*\})/;
/** Unbounded repetitions, except of what stays inside one segment. */
const REPETITION = /(?<!\\)(?<!\[\^\/\])(?:[*+]|\{\d+,\})/g;
/** About 20 ms of backtracking at the very worst (tried), once per distinct path. */
const STEPS = 2e6;
const MAX_REPETITIONS = 4;

export function compilePath(source: string, options: MatchOptions): PathPattern {
  return isPlain(source, options)
    ? plainPattern(source, options.ignoreCase)
    : regexPattern(source, expressionOf(source, options), options);
}

/** Why a path of a list cannot be used as it is written; empty when it can. */
export function pathProblem(source: string, options: MatchOptions): string {
  return isPlain(source, options) ? "" : regexProblem(expressionOf(source, options));
}

/** Why an expression cannot be used as it is written; empty when it can. */
export function regexProblem(pattern: string): string {
  const compiled = compileRegex(pattern);
  return typeof compiled === "string" ? compiled : "";
}

function isPlain(source: string, { prefix, suffix, plain }: MatchOptions): boolean {
  return !prefix && !suffix && plain === "exact" && PLAIN.test(source);
}

function expressionOf(source: string, { prefix, suffix }: MatchOptions): string {
  // `{id}` of a route template is one segment; a repetition count such as `{2}` or `{1,3}` is left alone.
  let pattern = source.replace(PLACEHOLDER, (found) => (/^\{\d+,?\d*\}$/.test(found) ? found : "([^/]+)"));
  if (prefix && !pattern.startsWith("^")) pattern = `^${pattern}`;
  if (suffix && !pattern.endsWith("$")) pattern = `${pattern}$`;
  return pattern;
}

function plainPattern(source: string, ignoreCase: boolean): PathPattern {
  const fold = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  const whole = fold(source.length > 1 && source.endsWith("/") ? source.slice(0, -1) : source);
  const below = whole === "/" ? "/" : `${whole}/`;
  return {
    source,
    problem: undefined,
    matches: (path) => {
      const given = fold(path);
      return given === whole || given.startsWith(below);
    },
  };
}

function regexPattern(source: string, pattern: string, options: MatchOptions): PathPattern {
  const compiled = compileRegex(pattern, options.ignoreCase ? "i" : "");
  const tooLong = options.tooLong === true;
  if (typeof compiled === "string") return { source, problem: `"${source}": ${compiled}`, matches: () => false };
  return {
    source,
    problem: undefined,
    matches: (path) => (path.length > compiled.limit ? tooLong : compiled.exec(path) !== null),
  };
}

/** An expression in Go's syntax as one of ours, or the sentence that says why not; who asks names the pattern. */
export function compileRegex(pattern: string, flags = ""): Expression | string {
  if (pattern.length > MAX_PATTERN) return `a pattern may have at most ${MAX_PATTERN} characters`;
  if (NESTED_REPETITION.test(pattern)) return "a repetition inside a repetition may take for ever";
  const repetitions = pattern.match(REPETITION)?.length ?? 0;
  if (repetitions > MAX_REPETITIONS) return `more than ${MAX_REPETITIONS} repetitions may take for ever`;
  if (/\[\[:|\\[QCpP]/.test(pattern)) return "character classes by name and \\Q are not supported";
  let body = pattern;
  let all = flags;
  const inline = /^\(\?([ims]+)\)/.exec(body);
  if (inline?.[1] !== undefined) {
    body = body.slice(inline[0].length);
    all = [...new Set([...flags, ...inline[1]])].join("");
  }
  body = body.replaceAll("(?P<", "(?<").replaceAll("\\A", "^").replaceAll("\\z", "$");
  try {
    const compiled = new RegExp(body, all);
    const limit = longestText(body, repetitions);
    return { limit, exec: (text) => (text.length > limit ? null : compiled.exec(text)) };
  } catch (error) {
    return (error as Error).message;
  }
}

/** k repetitions share a text of n characters in about n^k / k! ways. */
function longestText(body: string, repetitions: number): number {
  // A search that begins with neither an anchor nor a literal begins at every position.
  const anywhere = repetitions > 0 && !/^(?:\^|[\w/]{2})/.test(body);
  const factors = Math.max(1, repetitions + (anywhere ? 1 : 0));
  let ways = STEPS;
  for (let k = 2; k <= factors; k++) ways *= k;
  return Math.min(MAX_PATH, Math.floor(ways ** (1 / factors)));
}
