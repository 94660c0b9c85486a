// What stands for a variable of a transform in one call. Bound to a plan first: where the caller's fields stand is known
// then, so that a call looks nothing up by name. Governed by Tyk's context variables; every value that comes from
// callers or keys is checked, because a service may trust the field it ends up in.
// Must not know: how fields are sent. Bound once per plan; a source runs once per call that has it in a field.

import { randomUUID } from "node:crypto";
import type { ValuePart } from "../../shared/model/header-value.js";
import type { FieldAccess } from "../admit/credentials/fields.js";
import { cookieValue, stripBearer, takeToken } from "../admit/credentials/fields.js";
import type { Decision } from "../admit/decision.js";
import { callerAddress } from "../admit/rights/addresses.js";
import { textOf } from "../admit/rights/rewrite-input.js";
import type { Call } from "../call/call.js";
import type { Plan } from "../call/plan.js";
import type { ChangeSettings } from "./route-changes.js";

/** What a variable is in a call. */
export type Source = (call: Call) => string;

export interface Bound {
  /** The value of every call of the plan, or where it comes from. */
  readonly value: string | Source;
  /** It hangs on nothing but the gate's decision, which is repeated. */
  readonly decided: boolean;
}

/** A longer value is no value: fields of a call must stay within what services take. */
const LONGEST = 4_096;
const LONGEST_ID = 200;

/** Printable ASCII, as gRPC has it; anything else is as if it were not there. */
export function legal(value: string): string {
  if (value.length > LONGEST) return "";
  for (let i = 0; i < value.length; i++) {
    const octet = value.charCodeAt(i);
    if (octet < 0x20 || octet > 0x7e) return "";
  }
  return value;
}

export function bindPart(part: ValuePart, plan: Plan, settings: ChangeSettings): Bound {
  if (part.kind === "text") return { value: part.text, decided: true };
  const { name } = part;
  if (part.kind === "meta") return { value: (call) => legal(metaOf(call.decision, name)), decided: true };
  if (name.startsWith("headers_")) return header(plan, name.slice("headers_".length));
  if (name.startsWith("cookies_")) return cookie(plan, name.slice("cookies_".length));
  if (name.startsWith("jwt_claims_")) {
    const claim = name.slice("jwt_claims_".length);
    return { value: (call) => legal(claimOf(call, claim)), decided: true };
  }
  switch (name) {
    case "request_id":
      return { value: idSource(plan, settings), decided: false };
    case "remote_addr":
      return address(plan, settings);
    case "path":
      return { value: legal(bare(plan.path)), decided: true };
    case "path_parts":
      return { value: legal(bare(plan.path).split("/").slice(1).join(",")), decided: true };
    default:
      return { value: "", decided: true };
  }
}

function bare(path: string): string {
  const mark = path.indexOf("?");
  return mark < 0 ? path : path.slice(0, mark);
}

/** Tyk writes `-` of names as `_`; of several fields of a name the first counts. */
function sameName(wanted: string): (text: string) => boolean {
  const folded = wanted.toLowerCase().replaceAll("-", "_");
  return (text) => text.replaceAll("-", "_") === folded;
}

function header(plan: Plan, wanted: string): Bound {
  const same = sameName(wanted);
  const at = plan.names.findIndex((name) => same(name.text));
  if (at < 0) return { value: "", decided: false };
  const field = plan.fields[at]!;
  if (field !== null) return { value: legal(field.value), decided: false };
  const gap = gapOf(plan, at);
  return { value: (call) => legal(call.volatile[gap]!.value), decided: false };
}

/** The ordinal number of the gap at `at`. */
function gapOf(plan: Plan, at: number): number {
  let gap = 0;
  for (let i = 0; i < at; i++) if (plan.fields[i] === null) gap++;
  return gap;
}

function cookie(plan: Plan, wanted: string): Bound {
  if (plan.names.every((name) => name.text !== "cookie")) return { value: "", decided: false };
  return {
    value: (call) => {
      const sent = accessTo(call)("cookie") ?? "";
      // As for headers: Tyk writes `-` as `_`.
      const same = sameName(wanted);
      for (const piece of sent.split(";")) {
        const name = piece.slice(0, Math.max(0, piece.indexOf("="))).trim();
        if (name !== "" && same(name.toLowerCase())) return legal(cookieValue(sent, name));
      }
      return "";
    },
    decided: false,
  };
}

function address(plan: Plan, { trusted, xffDepth }: ChangeSettings): Bound {
  const peer = plan.origin.address;
  if (trusted.size === 0 || !trusted.has(peer)) return { value: peer, decided: false };
  return { value: (call) => legal(callerAddress(peer, trusted, accessTo(call), xffDepth)), decided: false };
}

/** A call's fields by name: its own, not what was made of them. */
function accessTo(call: Call): FieldAccess {
  const { fields, names } = call.plan;
  return (wanted) => {
    let value: string | undefined;
    let gap = 0;
    for (let i = 0; i < names.length; i++) {
      const field = fields[i] ?? call.volatile[gap++]!;
      if (names[i]!.text !== wanted) continue;
      value = value === undefined ? field.value : `${value}${wanted === "cookie" ? "; " : ", "}${field.value}`;
    }
    return value;
  };
}

/** The id of a call: made at its first use, and the same wherever it is used. */
function idSource(plan: Plan, settings: ChangeSettings): Source {
  const { idHeader, idTrust, trusted } = settings;
  const believed = idTrust === "always" || (idTrust === "proxies" && trusted.has(plan.origin.address));
  const given = idHeader === "" || !believed ? null : header(plan, idHeader).value;
  return (call) => {
    if (call.id !== "") return call.id;
    const sent = given === null ? "" : typeof given === "string" ? given : given(call);
    call.id = sent !== "" && sent.length <= LONGEST_ID && !sent.includes(" ") ? sent : randomUUID();
    return call.id;
  };
}

function metaOf(decision: Decision | null, name: string): string {
  const meta = decision?.session?.session?.meta_data;
  return meta !== undefined && Object.hasOwn(meta, name) ? textOf(meta[name]) : "";
}

/** A claim of the token that the gate has verified; of a call that nobody identified there is none. */
function claimOf(call: Call, name: string): string {
  const { decision, plan } = call;
  const method = plan.gate?.auth.find((each) => each.kind === "jwt_claim");
  if (method === undefined || decision === null || decision.session === null) return "";
  decision.claims ??= claimsOf(stripBearer(takeToken(method.place, accessTo(call), plan.path)));
  return Object.hasOwn(decision.claims, name) ? textOf(decision.claims[name]) : "";
}

function claimsOf(token: string): Readonly<Record<string, unknown>> {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    return typeof payload === "object" && payload !== null ? (payload as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
