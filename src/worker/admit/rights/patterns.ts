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
 * Time. Node has no linear-time expressions and RE2 needs an install script. So: patterns have a maximum length, those
 * with a repetition inside a repetition are refused with a sentence, paths longer than `MAX_PATH` are never searched (the
 * gate refuses them on APIs with patterns), and a decision is remembered, so that a path is tested once, not per call.
 */

export const MAX_PATTERN = 1_024;
export const MAX_PATH = 2_048;

export interface MatchOptions {
  readonly prefix: boolean;
  readonly suffix: boolean;
  readonly plain: "exact" | "regex";
  readonly ignoreCase: boolean;
}

/** A test of a path; `problem` when the pattern cannot be used, which then matches nothing. */
export interface PathPattern {
  readonly source: string;
  readonly problem: string | undefined;
  matches(path: string): boolean;
}

const PLAIN = /^\/[\w.~/-]*$/;
const PLACEHOLDER = /\{[^{}]*\}/g;
/** `(a+)+`, `(a*|b)*`, `(a{2,})+`: what makes backtracking exponential. A heuristic; it refuses some harmless ones. */
const NESTED_REPETITION = /\((?:[^()\\]|\\.)*(?:[*+]|\{\d+,\d*\})(?:[^()\\]|\\.)*\)(?:[*+]|\{\d+,?\d*\})/;

export function compilePath(source: string, options: MatchOptions): PathPattern {
  if (!options.prefix && !options.suffix && options.plain === "exact" && PLAIN.test(source)) {
    return plainPattern(source, options.ignoreCase);
  }
  // `{id}` of a route template is one segment; a repetition count such as `{2}` or `{1,3}` is left alone.
  let pattern = source.replace(PLACEHOLDER, (found) => (/^\{\d+,?\d*\}$/.test(found) ? found : "([^/]+)"));
  if (options.prefix && !pattern.startsWith("^")) pattern = `^${pattern}`;
  if (options.suffix && !pattern.endsWith("$")) pattern = `${pattern}$`;
  return regexPattern(source, pattern, options.ignoreCase);
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

function regexPattern(source: string, pattern: string, ignoreCase: boolean): PathPattern {
  const compiled = compileRegex(pattern, ignoreCase ? "i" : "");
  if (typeof compiled === "string") return { source, problem: compiled, matches: () => false };
  return { source, problem: undefined, matches: (path) => path.length <= MAX_PATH && compiled.test(path) };
}

/** An expression in Go's syntax as one of ours, or the sentence that says why not. */
export function compileRegex(pattern: string, flags = ""): RegExp | string {
  if (pattern.length > MAX_PATTERN) return `a pattern may have at most ${MAX_PATTERN} characters`;
  if (NESTED_REPETITION.test(pattern)) return `"${pattern}": a repetition inside a repetition may take for ever`;
  if (/\[\[:|\\[QCpP]/.test(pattern)) return `"${pattern}": character classes by name and \\Q are not supported`;
  let body = pattern;
  let all = flags;
  const inline = /^\(\?([ims]+)\)/.exec(body);
  if (inline?.[1] !== undefined) {
    body = body.slice(inline[0].length);
    all = [...new Set([...flags, ...inline[1]])].join("");
  }
  body = body.replaceAll("(?P<", "(?<").replaceAll("\\A", "^").replaceAll("\\z", "$");
  try {
    return new RegExp(body, all);
  } catch (error) {
    return `"${pattern}": ${(error as Error).message}`;
  }
}

/** For `lint`: an expression that admits more than its author may think. */
export function isUnanchored(source: string): boolean {
  return !PLAIN.test(source) && !source.startsWith("^");
}
