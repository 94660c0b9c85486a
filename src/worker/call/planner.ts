// The slow path of a request: finds the route, decides whether the gateway answers itself, and writes down the header
// list each target gets. Governed by RFC 9113 section 8, RFC 9110 section 7.6 and Tyk's proxy rules (spec 6.5). Runs
// once per new combination of fields on a connection.

import { isGrpcContentType } from "../../shared/grpc/content-type.js";
import type { Connection } from "../../shared/http2/connection.js";
import { Field, FieldKind, type FieldName, type FieldStore } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { Target } from "../../shared/model/api-definition.js";
import type { Route } from "../route/route.js";
import type { RouteTable } from "../route/table.js";
import type { TargetPool } from "../upstream/target-pool.js";
import { ANSWERS, type Answer } from "./answers.js";
import { Outgoing, Plan } from "./plan.js";

/** What a worker's configuration says about requests; a new one is made for every configuration. */
export interface Rules {
  readonly version: number;
  readonly routes: RouteTable;
  /** By route number, the pools of its targets in order. */
  readonly pools: readonly (readonly TargetPool[])[];
  /** By route number, the target whose turn it was last. */
  readonly turns: Int32Array;
  readonly mainPort: number;
  readonly healthPath: string;
  readonly readyPath: string;
  readonly generator: boolean;
}

/** Where a connection came from. */
export interface Origin {
  readonly port: number;
  readonly address: string;
}

/** Dropped on the way to the service (RFC 9110 7.6.1 and Tyk's list); connection-specific fields never get here. */
const DROPPED = new Set(["proxy-authorization", "proxy-authenticate", "trailer"]);

export function makePlan(list: FieldList, c: Connection, origin: Origin, rules: Rules): Plan {
  const path = list.path!.value;
  const grpc = list.contentType !== null && isGrpcContentType(list.contentType.value);
  const method = list.method!.value;
  const health = healthPath(path, origin, rules);
  let route: Route | null = null;
  let answer: Answer | null = null;
  if (health === null) {
    route = rules.routes.match(origin.port, (list.authority ?? list.host)?.value ?? "", path);
    if (route === null) answer = ANSWERS.noRoute;
    else if (grpc && method !== "POST") answer = ANSWERS.notPost;
  } else if (method !== "GET" && method !== "HEAD") answer = { ...ANSWERS.notPost, message: "Method Not Allowed" };
  const gaps = gapsOf(list);
  return new Plan({
    fields: list.fields.slice(0, list.length).map((field, i) => (gaps[i] ? null : field)),
    names: list.fields.slice(0, list.length).map((field) => field.name),
    rules,
    connection: c,
    grpc,
    head: method === "HEAD",
    answer,
    health: answer === null ? health : null,
    route: answer === null ? route : null,
    outgoing:
      route === null || answer !== null
        ? []
        : route.targets.map((target) => outgoingFor(list, gaps, route, target, c.shared.fields, origin)),
  });
}

function healthPath(path: string, origin: Origin, rules: Rules): "hello" | "ready" | null {
  if (origin.port !== rules.mainPort) return null;
  const query = path.indexOf("?");
  const bare = query < 0 ? path : path.slice(0, query);
  return bare === rules.healthPath ? "hello" : bare === rules.readyPath ? "ready" : null;
}

/** A field that is not interned and that nothing is decided by. */
function gapsOf(list: FieldList): boolean[] {
  const gaps: boolean[] = [];
  for (let i = 0; i < list.length; i++) {
    const field = list.fields[i]!;
    gaps.push(!field.stable && !decides(field.name));
  }
  return gaps;
}

function decides(name: FieldName): boolean {
  switch (name.kind) {
    case FieldKind.REGULAR:
    case FieldKind.COOKIE:
    case FieldKind.CREDENTIAL:
    case FieldKind.USER_AGENT:
    case FieldKind.GRPC_TIMEOUT:
    case FieldKind.CONTENT_LENGTH:
    case FieldKind.GRPC_ENCODING:
      return DROPPED.has(name.text);
    default:
      return true;
  }
}

/** True when a request with these fields may come again: nothing that decides changes with every call. */
export function mayRepeat(list: FieldList): boolean {
  for (let i = 0; i < list.length; i++) {
    const field = list.fields[i]!;
    if (!field.stable && decides(field.name)) return false;
  }
  return true;
}

function outgoingFor(
  list: FieldList,
  gaps: readonly boolean[],
  route: Route,
  target: Target,
  store: FieldStore,
  origin: Origin,
): Outgoing {
  const fields: (Field | null)[] = [];
  const positions: number[] = [];
  const authority = authorityFor(list, route, target, store);
  let placed = list.authority !== null;
  let forwarded = "";
  let forwardedAt = -1;
  const like = (field: Field, value: string): Field =>
    field.stable
      ? store.field(field.name, value, field.neverIndexed)
      : new Field(field.name, value, field.neverIndexed, false);
  for (let i = 0; i < list.length; i++) {
    const field = list.fields[i]!;
    const kind = field.name.kind;
    if (!placed && !field.name.text.startsWith(":")) {
      fields.push(authority);
      placed = true;
    }
    if (gaps[i]) {
      positions.push(i);
      fields.push(null);
    } else if (kind === FieldKind.SCHEME) fields.push(store.field(field.name, "http"));
    else if (kind === FieldKind.AUTHORITY) fields.push(authority);
    else if (kind === FieldKind.PATH) fields.push(like(field, route.upstreamPath(field.value, target)));
    else if (kind === FieldKind.X_FORWARDED_FOR) {
      forwarded = forwarded === "" ? field.value : `${forwarded}, ${field.value}`;
      if (forwardedAt < 0) {
        forwardedAt = fields.length;
        fields.push(field);
      }
    } else if (kind !== FieldKind.HOST && !DROPPED.has(field.name.text)) fields.push(field);
  }
  if (!placed) fields.push(authority);
  if (forwardedAt < 0) fields.push(store.field("x-forwarded-for", origin.address));
  else fields[forwardedAt] = like(fields[forwardedAt]!, `${forwarded}, ${origin.address}`);
  return new Outgoing(fields, positions);
}

function authorityFor(list: FieldList, route: Route, target: Target, store: FieldStore): Field {
  const sent = list.authority ?? list.host;
  return store.field(":authority", route.preserveHost && sent !== null ? sent.value : target.authority);
}
