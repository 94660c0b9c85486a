// The value of a field as an operator writes it in a transform: text, and variables that every call fills anew.
// Responsible for its grammar and for what can never stand in it. Must not know: calls, sessions.
// Governed by: Tyk's `$tyk_context.NAME` and `$tyk_meta.NAME`; gRPC protocol document (ASCII-Value). Runs: at load and
// when a definition is compiled.

export type ValuePart =
  | { readonly kind: "text"; readonly text: string }
  /** Something about the call itself. */
  | { readonly kind: "context"; readonly name: string }
  /** Meta data of the caller's key. */
  | { readonly kind: "meta"; readonly name: string };

const VARIABLE = /\$tyk_(context|meta)\.([A-Za-z0-9_\-.]+)/g;
/** What Tyk would fill in and nothing here does: forwarded as it is written it would be no secret and no value. */
const UNKNOWN = /\$(?:tyk_\w*|secret_\w*|kv\w*)|(?:vault|consul|env|secrets|conf):\/\//;

export function valueParts(written: string): ValuePart[] {
  const parts: ValuePart[] = [];
  let from = 0;
  const text = (to: number): void => {
    if (to > from) parts.push({ kind: "text", text: written.slice(from, to) });
  };
  for (const found of written.matchAll(VARIABLE)) {
    text(found.index);
    parts.push({ kind: found[1] === "meta" ? "meta" : "context", name: found[2]! });
    from = found.index + found[0].length;
  }
  text(written.length);
  return parts;
}

/** Why a value cannot be used as it is written; empty when it can. */
export function valueProblem(name: string, written: string): string {
  const parts = valueParts(written);
  for (const part of parts) {
    if (part.kind === "context" && !isContextName(part.name))
      return `has no variable $tyk_context.${part.name}: there are ${CONTEXT_NAMES.join(", ")}, headers_NAME, cookies_NAME and jwt_claims_NAME`;
    if (part.kind !== "text") continue;
    const unknown = UNKNOWN.exec(part.text);
    if (unknown !== null) return `has ${unknown[0]}, which nothing here fills in`;
    if (!/^[\x20-\x7e]*$/.test(part.text)) return "must be printable ASCII";
  }
  if (written !== written.trim()) return "must not begin or end with a space";
  const fixed = parts.every((part) => part.kind === "text");
  if (name.endsWith("-bin") && fixed && !isBase64(written)) return "must be base64, since the name ends in -bin";
  return "";
}

/** Of gRPC's binary metadata: with or without padding, several joined by commas. */
export function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/]*={0,2}(?:, ?[A-Za-z0-9+/]*={0,2})*$/.test(text);
}

const CONTEXT_NAMES = ["request_id", "remote_addr", "path", "path_parts"] as const;
const CONTEXT_PREFIXES = ["headers_", "cookies_", "jwt_claims_"] as const;

function isContextName(name: string): boolean {
  return (
    (CONTEXT_NAMES as readonly string[]).includes(name) ||
    CONTEXT_PREFIXES.some((prefix) => name.startsWith(prefix) && name.length > prefix.length)
  );
}
