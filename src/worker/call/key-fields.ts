// Which fields of a request hold what a gate knows callers by, and what else its decisions hang on. Must not know plans'
// caches. Governed by the contract at the head of admit/gate.ts, point 1. Runs once per plan.

import { FieldKind, type FieldName } from "../../shared/http2/hpack/field.js";
import type { ApiGate } from "../admit/api-gate.js";
import type { Plan } from "./plan.js";

/** Headers and cookies that the API's methods of authentication look into. */
export function isKeyField(name: FieldName, gate: ApiGate): boolean {
  switch (name.kind) {
    case FieldKind.COOKIE:
      // What is left of a cookie without the credential in it is forwarded: that is made once per value.
      if (gate.strip.cookies.length > 0) return false;
      return gate.auth.some(({ place }) => place.cookie !== "" || place.header === name.text);
    case FieldKind.REGULAR:
    case FieldKind.CREDENTIAL:
      return gate.auth.some(({ place }) => place.header === name.text);
    default:
      // Fields that also say where a call goes or what it is.
      return false;
  }
}

/**
 * Everything beside the key that a decision about the plan's calls may look at, as a text: API, method, path, where the
 * call came from as far as that matters, and the fields that stand in the plan. No value holds a line feed.
 */
export function scopeText(plan: Plan): string {
  const gate = plan.gate!;
  const { address, secure, peer } = plan.origin;
  const looks = gate.allow !== undefined || gate.deny !== undefined || gate.contextVariables;
  const words = [
    gate.apiId,
    plan.method,
    plan.path,
    looks ? address : "",
    secure ? "tls" : "",
    peer?.fingerprint ?? "",
  ];
  for (let i = 0; i < plan.names.length; i++) {
    const { text } = plan.names[i]!;
    if (!gate.fields.includes(text)) continue;
    const field = plan.fields[i]!;
    words.push(field === null ? text : `${text}: ${field.value}`);
  }
  return words.join("\n");
}
