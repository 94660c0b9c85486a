// What a target gets of a request's header list: the rewritten pseudo-fields, everything else in its order, and the
// caller's address. Governed by RFC 9110 section 7.6, RFC 9113 section 8.3 and Tyk's proxy rules (spec 6.5). Made once
// per plan and rewritten path; found again once per call of an API with a gate.

import { Field, FieldKind, type FieldStore } from "../../shared/http2/hpack/field.js";
import type { Target } from "../../shared/model/api-definition.js";
import { parseTarget } from "../../shared/model/target.js";
import { STRIP_NOTHING, type StripPlan, stripCookie, stripPath } from "../admit/credentials/strip.js";
import type { Ruling } from "../admit/decision.js";
import type { Route } from "../route/route.js";
import { Outgoing } from "./outgoing.js";
import { type Plan, Prepared } from "./plan.js";

/** Dropped on the way to the service (RFC 9110 7.6.1 and Tyk's list); connection-specific fields never get here. */
export const DROPPED: ReadonlySet<string> = new Set(["proxy-authorization", "proxy-authenticate", "trailer"]);

/** Rewritten paths of one plan that are kept: meta data of keys may make as many as there are keys. */
const REWRITES = 8;

/** What is forwarded under `ruling`, which lets the call through; null where nobody decides. */
export function preparedFor(plan: Plan, ruling: Ruling | null): Prepared {
  const strip = ruling === null ? STRIP_NOTHING : ruling.strip;
  const rewritten = ruling === null ? undefined : ruling.rewritten;
  const last = plan.prepared;
  if (last !== null && last.strip === strip && last.rewritten === rewritten) return last;
  const found = plan.rewrites?.find((each) => each.strip === strip && each.rewritten === rewritten);
  if (found !== undefined) return found;
  const made = prepare(plan, strip, rewritten);
  if (last === null) plan.prepared = made;
  else {
    plan.rewrites ??= [];
    if (plan.rewrites.length >= REWRITES) plan.rewrites.shift();
    plan.rewrites.push(made);
  }
  return made;
}

function prepare(plan: Plan, strip: StripPlan, rewritten: string | undefined): Prepared {
  const route = plan.route!;
  const nowhere = new Prepared(strip, rewritten, null, []);
  const elsewhere = rewritten === undefined || rewritten.startsWith("/") ? null : parseTarget(rewritten);
  if (elsewhere !== null) {
    // A rewrite to a whole URL names another service; one that cannot be read reaches none.
    if ("problem" in elsewhere) return nowhere;
    const there = plan.rules.elsewhere(elsewhere, route);
    if (there === null) return nowhere;
    const query = elsewhere.query === "" ? "" : `?${elsewhere.query}`;
    const outgoing = forTarget(plan, route, elsewhere, strip, elsewhere.basePath + query);
    return new Prepared(strip, rewritten, there, [outgoing]);
  }
  const outgoing = route.targets.map((target) =>
    forTarget(plan, route, target, strip, pathFor(plan, route, target, strip, rewritten)),
  );
  return new Prepared(strip, rewritten, plan.rules.targets[route.id]!, outgoing);
}

function pathFor(plan: Plan, route: Route, target: Target, strip: StripPlan, rewritten: string | undefined): string {
  return route.upstreamPath(rewritten ?? stripPath(plan.path, strip.params), target);
}

function forTarget(plan: Plan, route: Route, target: Target, strip: StripPlan, path: string): Outgoing {
  const store = plan.connection.shared.fields;
  const fields: (Field | null)[] = [];
  const gaps: number[] = [];
  const sentAuthority = authorityOf(plan);
  const change = plan.change === null ? null : plan.change.request;
  const authority = store.field(
    ":authority",
    route.preserveHost && sentAuthority !== "" ? sentAuthority : target.authority,
  );
  let placed = plan.names.some((name) => name.kind === FieldKind.AUTHORITY);
  let forwarded = "";
  let forwardedAt = -1;
  let gap = -1;
  for (let i = 0; i < plan.fields.length; i++) {
    const field = plan.fields[i]!;
    const name = plan.names[i]!;
    if (field === null) gap++;
    if (!placed && !name.text.startsWith(":")) {
      fields.push(authority);
      placed = true;
    }
    if (strip.headers.includes(name.text) || DROPPED.has(name.text) || name.kind === FieldKind.HOST) continue;
    if (change?.drop.has(name.text) === true) continue;
    if (field === null) {
      gaps.push(gap);
      fields.push(null);
    } else if (name.kind === FieldKind.SCHEME) fields.push(store.field(name, schemeOf(target)));
    else if (name.kind === FieldKind.AUTHORITY) fields.push(authority);
    else if (name.kind === FieldKind.PATH) fields.push(like(store, field, path));
    else if (name.kind === FieldKind.COOKIE && strip.cookies.length > 0) {
      const left = stripCookie(field.value, strip.cookies);
      if (left !== undefined) fields.push(like(store, field, left));
    } else if (name.kind === FieldKind.X_FORWARDED_FOR) {
      forwarded = forwarded === "" ? field.value : `${forwarded}, ${field.value}`;
      if (forwardedAt < 0) {
        forwardedAt = fields.length;
        fields.push(field);
      }
    } else fields.push(field);
  }
  if (!placed) fields.push(authority);
  if (change?.drop.has("x-forwarded-for") === true) {
    // Removed, or as the operator wrote it: as in Tyk nothing is added then.
  } else if (forwardedAt < 0) fields.push(store.field("x-forwarded-for", plan.origin.address));
  else fields[forwardedAt] = like(store, fields[forwardedAt]!, `${forwarded}, ${plan.origin.address}`);
  if (change !== null) {
    fields.push(...change.fixed);
    change.made.forEach((_, n) => {
      fields.push(null);
      gaps.push(plan.gaps + n);
    });
  }
  return new Outgoing(fields, gaps);
}

/** `:scheme` towards the service is that of the connection (RFC 9113 section 8.3.1). */
function schemeOf(target: Target): string {
  return (target.scheme as string) === "https" ? "https" : "http";
}

function like(store: FieldStore, field: Field, value: string): Field {
  if (field.stable) return store.field(field.name, value, field.neverIndexed);
  return new Field(field.name, value, field.neverIndexed, false);
}

function authorityOf(plan: Plan): string {
  let host = "";
  for (let i = 0; i < plan.names.length; i++) {
    const kind = plan.names[i]!.kind;
    if (kind === FieldKind.AUTHORITY) return plan.fields[i]?.value ?? "";
    if (kind === FieldKind.HOST) host = plan.fields[i]?.value ?? "";
  }
  return host;
}
