// Live connections as an operator sees them. Bounded: it is a page to look at, and whoever asks must not stop the loop.
// Must not know: HTTP, who asks. Runs: per question of an operator.

import type { Stream } from "../../shared/http2/stream.js";
import {
  type ConnectionReport,
  type DirectionReport,
  type Inspection,
  type InspectionQuery,
  MOST_SHOWN,
  type ServiceConnectionReport,
  type StreamReport,
} from "../../shared/observe/inspection.js";
import type { Call } from "../call/call.js";
import type { Caller } from "../downstream/caller.js";
import { LinkState } from "../upstream/link.js";
import type { TargetPool } from "../upstream/target-pool.js";
import { endReason, waitReason } from "./wait-reason.js";

const LONGEST_PATH = 256;
const STATES = Object.keys(LinkState).map((name) => name.toLowerCase());

export interface Inspected {
  readonly callers: Iterable<Caller>;
  readonly pools: Iterable<TargetPool>;
  /** The coarse clock, ms. */
  readonly now: number;
}

export function inspect({ callers, pools, now }: Inspected, query: InspectionQuery): Inspection {
  const most = Math.max(1, Math.min(query.most, MOST_SHOWN));
  const shown: ConnectionReport[] = [];
  const waits: Record<string, number> = {};
  let connections = 0;
  let open = 0;
  let room = most;
  for (const caller of callers) {
    if (query.address !== "" && query.address !== caller.origin.address) continue;
    const streams = caller.connection.streams.all().filter((stream) => isWanted(stream, query));
    if (query.api !== "" && streams.length === 0) continue;
    connections++;
    open += streams.length;
    for (const stream of streams) {
      const reason = reasonOf(stream);
      waits[reason] = (waits[reason] ?? 0) + 1;
    }
    if (shown.length >= most) continue;
    const some = streams.slice(0, room);
    room -= some.length;
    shown.push(reportOf(caller, streams.length, some, now));
  }
  return { connections, streams: open, waits, callers: shown, services: servicesOf(pools, most) };
}

function isWanted({ owner }: Stream, { api }: InspectionQuery): boolean {
  return api === "" || (owner as Call | null)?.plan.route?.api_id === api;
}

/** A stream whose response is complete has no call any more, and may still wait for its caller. */
function reasonOf(stream: Stream): string {
  const call = stream.owner as Call | null;
  return call === null ? endReason(stream) : waitReason(call);
}

function reportOf(caller: Caller, open: number, streams: readonly Stream[], now: number): ConnectionReport {
  const { connection, wire, origin } = caller;
  return {
    address: origin.address,
    port: origin.port,
    protocol: caller.protocol,
    tls: origin.secure,
    certificate: origin.peer !== null,
    ms: now - caller.born,
    silent_ms: now - Math.max(wire.lastRead, wire.lastWrite),
    draining: caller.draining,
    send_window: connection.sendWindow,
    receive_window: connection.receiveWindow,
    unsent: wire.queued,
    open,
    streams: streams.map((stream) => streamReport(stream, now)),
  };
}

function streamReport(down: Stream, now: number): StreamReport {
  const call = down.owner as Call | null;
  const up = call?.up ?? null;
  const base = {
    id: down.id,
    api: call?.plan.route?.api_id ?? "",
    path: call === null ? "" : bare(call.plan.path),
    ms: now - down.born,
    silent_ms: now - Math.max(down.lastActive, up?.lastActive ?? 0),
    waits_for: reasonOf(down),
    from_caller: receiving(down),
    to_caller: sending(down),
  };
  const dated = call === null || call.deadline === 0 ? base : { ...base, deadline_ms: call.deadline - now };
  if (call === null || up === null || call.link === null) return dated;
  const service = {
    target: call.link.endpoint.name,
    stream: up.id,
    from_service: receiving(up),
    to_service: sending(up),
  };
  return { ...dated, service };
}

function receiving(stream: Stream): DirectionReport {
  return { window: stream.receiveWindow, bytes: stream.received };
}

function sending(stream: Stream): DirectionReport {
  return { window: stream.sendWindow, bytes: stream.queue?.bytes ?? 0 };
}

/** A query may hold a credential. */
function bare(path: string): string {
  const query = path.indexOf("?");
  return (query < 0 ? path : path.slice(0, query)).slice(0, LONGEST_PATH);
}

function servicesOf(pools: Iterable<TargetPool>, most: number): ServiceConnectionReport[] {
  const found: ServiceConnectionReport[] = [];
  for (const pool of pools) {
    for (const endpoint of pool.endpoints) {
      for (const link of endpoint.links) {
        if (found.length >= most) return found;
        found.push({
          target: endpoint.name,
          state: STATES[link.state] ?? "",
          open: link.connection.streams.size,
          room: link.room,
          send_window: link.connection.sendWindow,
          receive_window: link.connection.receiveWindow,
          unsent: link.wire.queued,
        });
      }
    }
  }
  return found;
}
