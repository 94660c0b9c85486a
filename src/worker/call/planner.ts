// The slow path of a request: finds the route, and decides whether the gateway answers by itself or the gate has a say.
// Governed by the order of answers in spec 6.6. Runs once per new combination of fields on a connection.

import { isGrpcContentType } from "../../shared/grpc/content-type.js";
import { HEALTH_CHECK, HEALTH_WATCH } from "../../shared/grpc/health.js";
import type { Connection } from "../../shared/http2/connection.js";
import { type Field, FieldKind, type FieldName } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { Target } from "../../shared/model/api-definition.js";
import type { ApiGate } from "../admit/api-gate.js";
import type { Balancer } from "../balance/balancer.js";
import type { Route } from "../route/route.js";
import type { RouteTable } from "../route/table.js";
import type { AllowList } from "../tls/allow-list.js";
import type { PeerCertificate } from "../tls/peer-certificate.js";
import { BoundChange } from "../transform/bound-change.js";
import type { RouteChanges } from "../transform/route-changes.js";
import { ANSWERS, type Answer } from "./answers.js";
import type { CallRule, RouteRules } from "./call-rules.js";
import { TRACEPARENT, TracePlace } from "./call-trace.js";
import { isControlPath } from "./control-request.js";
import { DROPPED, preparedFor } from "./forwarding.js";
import { isKeyField } from "./key-fields.js";
import { Plan } from "./plan.js";

/** What a worker's configuration says about requests; a new one is made for every configuration. */
export interface Rules {
  readonly version: number;
  readonly routes: RouteTable;
  /** By route number, the choice among its targets. */
  readonly targets: readonly Balancer[];
  /** A service that a rewrite names; null when there are too many of them. */
  elsewhere(target: Target, route: Route): Balancer | null;
  /** By route number, what the gate asks; null where everybody may call. */
  readonly gates: readonly (ApiGate | null)[];
  /** By route number, what is said about the course of calls; null where nothing is. */
  readonly calls: readonly (RouteRules | null)[];
  /** By route number, what is changed in header lists; null where nothing is. */
  readonly changes: readonly (RouteChanges | null)[];
  /** By route number, whose certificates may call; null where none is needed. */
  readonly allowed: readonly (AllowList | null)[];
  /** Where the primary answers `/tyk/…` of the main port; empty where the control API has a port of its own. */
  readonly controlSocket: string;
  readonly mainPort: number;
  readonly healthPath: string;
  readonly readyPath: string;
  readonly generator: boolean;
  /** Calls may be traced. */
  readonly traces: boolean;
}

/** Where a connection came from. */
export interface Origin {
  readonly port: number;
  readonly address: string;
  /** Inside TLS. */
  readonly secure: boolean;
  /** The certificate whose key the caller proved to hold, if it was asked and has one. */
  readonly peer: PeerCertificate | null;
}

export function makePlan(list: FieldList, c: Connection, origin: Origin, rules: Rules): Plan {
  const path = list.path!.value;
  const grpc = list.contentType !== null && isGrpcContentType(list.contentType.value);
  const method = list.method!.value;
  const health = healthPath(path, origin, rules);
  let route: Route | null = null;
  let answer: Answer | null = null;
  const forControl = origin.port === rules.mainPort && isControlPath(path);
  if (forControl) answer = rules.controlSocket === "" ? ANSWERS.noRoute : null;
  else if (health === null) {
    route = rules.routes.match(origin.port, (list.authority ?? list.host)?.value ?? "", path);
    if (route === null) answer = ANSWERS.noRoute;
    else
      answer =
        certificateAnswer(origin, rules.allowed[route.id]!) ?? (grpc && method !== "POST" ? ANSWERS.notPost : null);
  } else if (method !== "GET" && method !== "HEAD") answer = ANSWERS.methodNotAllowed;
  if (answer !== null) route = null;
  const gate = route === null ? null : rules.gates[route.id]!;
  const rule = route === null ? null : (rules.calls[route.id]?.ruleFor(method, path) ?? null);
  const all = list.fields.slice(0, list.length);
  const { traces } = rules;
  const fields = all.map((field) =>
    isGap(field, gate) || isBounded(field, rule) || (traces && isTraceparent(field)) ? null : field,
  );
  const plan = new Plan({
    fields,
    names: all.map((field) => field.name),
    keys: gate === null ? [] : keysOf(all, fields, gate),
    rules,
    connection: c,
    origin,
    method,
    path,
    grpc,
    answer,
    health: answer === null ? health : null,
    control: forControl && answer === null,
    route,
    gate,
    rule,
  });
  if (answer === ANSWERS.noRoute && grpc && origin.port === rules.mainPort) plan.healthMethod = healthMethod(path);
  if (traces) plan.tracePlace = tracePlaceOf(all, fields);
  const change = route === null ? null : (rules.changes[route.id]?.changeFor(method, path) ?? null);
  if (change !== null) plan.change = new BoundChange(change, plan);
  if (route !== null && gate === null) plan.prepared = preparedFor(plan, null);
  return plan;
}

/** Static mutual TLS: asked again on every connection and for every API, whatever the handshake was like. */
function certificateAnswer(origin: Origin, allowed: AllowList | null): Answer | null {
  if (allowed === null) return null;
  const refusal = origin.secure ? allowed.refusal(origin.peer, Date.now()) : "TLS not enabled";
  return refusal === "" ? null : { ...ANSWERS.certificate, message: refusal };
}

/** `grpc.health.v1.Health`, where no API has that path. */
function healthMethod(path: string): Plan["healthMethod"] {
  return path === HEALTH_CHECK ? "check" : path === HEALTH_WATCH ? "watch" : null;
}

function healthPath(path: string, origin: Origin, rules: Rules): "hello" | "ready" | null {
  if (origin.port !== rules.mainPort) return null;
  const query = path.indexOf("?");
  const bare = query < 0 ? path : path.slice(0, query);
  return bare === rules.healthPath ? "hello" : bare === rules.readyPath ? "ready" : null;
}

/** The gaps' ordinal numbers of the fields that a gate knows callers by. */
function keysOf(all: readonly Field[], fields: readonly (Field | null)[], gate: ApiGate): number[] {
  const keys: number[] = [];
  let gap = 0;
  for (let i = 0; i < all.length; i++) {
    if (fields[i] !== null) continue;
    if (isKeyField(all[i]!.name, gate)) keys.push(gap);
    gap++;
  }
  return keys;
}

/** A field that nothing in the plan hangs on, or whose value may be another with every call. */
function isGap(field: Field, gate: ApiGate | null): boolean {
  const { name } = field;
  if (gate?.fields.includes(name.text) === true) return isKeyField(name, gate);
  // Interned or not: as many come over one connection as callers stand behind it.
  if (name.kind === FieldKind.CREDENTIAL || name.kind === FieldKind.COOKIE) return true;
  return !field.stable && !decides(name);
}

/** Under a bound of the operator's the service gets another deadline than the caller wrote. */
function isBounded(field: Field, rule: CallRule | null): boolean {
  return rule !== null && rule.boundMs > 0 && field.name.kind === FieldKind.GRPC_TIMEOUT;
}

function isTraceparent(field: Field): boolean {
  return field.name.text === TRACEPARENT;
}

/** The ordinal number of its gap. */
function tracePlaceOf(all: readonly Field[], fields: readonly (Field | null)[]): number {
  let place: number = TracePlace.NONE;
  let gap = 0;
  for (let i = 0; i < all.length; i++) {
    if (fields[i] !== null) continue;
    if (isTraceparent(all[i]!)) place = place === TracePlace.NONE ? gap : TracePlace.SEVERAL;
    gap++;
  }
  return place;
}

function decides(name: FieldName): boolean {
  switch (name.kind) {
    case FieldKind.REGULAR:
      return DROPPED.has(name.text);
    case FieldKind.USER_AGENT:
    case FieldKind.GRPC_TIMEOUT:
    case FieldKind.CONTENT_LENGTH:
    case FieldKind.GRPC_ENCODING:
      return false;
    default:
      return true;
  }
}
