// Every message between the primary and a worker, both ways, and their coding.
// Responsible for the shapes and the version of the conversation. A socket travels beside its message, never in it.
// Must not know: what either side does on receipt, how processes are started.
// Contract: one msgpack map a message, sent as a Buffer over cluster IPC with `serialization: "advanced"`. The worker
// speaks first (`hello`); what is sent to a worker before that is lost, because node:cluster reads and drops it.
// Runs: a few messages per placed connection, otherwise rarely.

import { Packr } from "msgpackr";
import type { Certificates } from "./certificates/collection.js";
import type { Settings } from "./config.js";
import type { Explanation, Question } from "./explanation.js";
import type { ApiDefinition, ClosedPath } from "./model/api-definition.js";
import type { Policy } from "./model/policy.js";
import type { Figures } from "./observe/figures.js";
import type { Inspection, InspectionQuery } from "./observe/inspection.js";
import type { StoreChange } from "./store/store.js";

/** Raised with every change that an older process would misread; a worker with another version is not used. */
export const PROTOCOL_VERSION = 5;

/** One port as the primary opens it and as the worker knows it again beside each connection. */
export interface Port {
  readonly port: number;
  readonly address: string;
  readonly protocol: string;
  readonly main: boolean;
}

/** What a worker compiles its routes from. Immutable; a change arrives as a whole new one with a higher generation. */
export interface WorkerConfig {
  readonly generation: number;
  readonly settings: Settings;
  readonly definitions: readonly ApiDefinition[];
  /** Paths of definitions that were left out: no shorter path may serve their calls. */
  readonly closed: readonly ClosedPath[];
  readonly ports: readonly Port[];
  /** Certificates that settings and definitions refer to, with their keys; those of the store are not among them. */
  readonly certificates: Certificates;
  /** Each with its id. */
  readonly policies: readonly Policy[];
  /**
   * Where the primary answers `/tyk/…` of the main port (HTTP/1.1 over a Unix socket); empty when the control API has
   * a port of its own. The worker that relays a request says in `x-sluice-peer` who asked it.
   */
  readonly controlSocket: string;
  /** Serves nobody: `sluice explain` asks what would become of a call, and how services are is no part of the answer. */
  readonly explainsOnly?: boolean;
}

/** What session tickets are sealed under, 48 octets a key: shared by all workers, never logged. */
export interface TicketKeys {
  /** Rises with every rotation. */
  readonly generation: number;
  readonly current: Uint8Array;
  /** Tickets under it are still accepted; null before the first rotation. */
  readonly previous: Uint8Array | null;
}

/** One answer made ready by the primary, so that the main port and the control port say the same bytes. */
export interface HealthAnswer {
  readonly status: number;
  /** JSON text; the content type is application/json. */
  readonly body: string;
}

/** What `GET /hello` and `GET /ready` answer from now on. Any other method is 405. */
export interface HealthState {
  readonly hello: HealthAnswer;
  readonly ready: HealthAnswer;
}

/** How busy a worker is, for placing connections. */
export interface Load {
  readonly connections: number;
  readonly calls: number;
}

export type ToWorker =
  | { readonly type: "configure"; readonly config: WorkerConfig }
  | { readonly type: "health"; readonly state: HealthState }
  /** Sent before the configuration and at every rotation. */
  | { readonly type: "tickets"; readonly keys: TicketKeys }
  /** Which targets are down by their health checks, and whether it is this worker that checks them. */
  | { readonly type: "targets"; readonly asks: boolean; readonly down: readonly string[] }
  /** Beside it: a bound socket on which the worker accepts by itself (accept mode "shared") once it is configured. */
  | { readonly type: "listen"; readonly port: number }
  /** The port is no longer served: the shared socket is closed, its connections are drained. */
  | { readonly type: "unlisten"; readonly port: number }
  /** Something in the store is different; what is remembered of it is forgotten, then `applied` is said. */
  | { readonly type: "changed"; readonly id: number; readonly change: StoreChange }
  /** Beside it: the worker's end of the pipe that brings its connections (shared/hand-over.ts). */
  | { readonly type: "pipe" }
  /** Where there is no such pipe. Beside it: an accepted socket, nothing of it read. `id` rises by one within a worker's life. */
  | { readonly type: "connection"; readonly id: number; readonly port: number }
  /** So many of its connections are asked to come back, which brings them to another worker. */
  | { readonly type: "move"; readonly connections: number }
  /** What it has counted is to be told. */
  | { readonly type: "observe"; readonly id: number }
  /** Its live connections are to be shown. */
  | { readonly type: "inspect"; readonly id: number; readonly query: InspectionQuery }
  /** What would become of a call is to be told. */
  | { readonly type: "explain"; readonly id: number; readonly question: Question }
  /** Closes listeners and ends connections gracefully; a second one may only shorten the time. */
  /** `silentMs`: so long may connections that have said nothing yet be heard before they are told to go. */
  | { readonly type: "drain"; readonly timeoutMs: number; readonly silentMs: number };

export type ToPrimary =
  | { readonly type: "hello"; readonly protocol: number }
  /** `problem` is empty when the configuration is in force. */
  | { readonly type: "configured"; readonly generation: number; readonly problem: string }
  /** `adopted` is the highest connection id the worker has taken over: later ones are not among `connections`. */
  | { readonly type: "load"; readonly adopted: number; readonly connections: number; readonly calls: number }
  /** In which share of the time since the last one its loop had something to do, from 0 to 1. */
  | { readonly type: "busy"; readonly share: number }
  /** After `changed`: from here on no call is decided by what was before. */
  | { readonly type: "applied"; readonly id: number }
  /** From the worker that checks targets: those that are down, all of them. */
  | { readonly type: "targets"; readonly down: readonly string[] }
  /** After `observe`; and with id 0 once more before it leaves. */
  | { readonly type: "figures"; readonly id: number; readonly figures: Figures }
  /** After `explain`; without an explanation where it could not be found out. */
  | { readonly type: "explained"; readonly id: number; readonly explanation?: Explanation | undefined }
  | { readonly type: "inspected"; readonly id: number; readonly inspection: Inspection }
  | { readonly type: "drained" };

/**
 * A libuv TCP handle as Node passes it between processes without building a socket on either side. The members are
 * those node:cluster itself relies on.
 */
export interface TcpHandle {
  readonly fd: number;
  onconnection: ((status: number, connection: TcpHandle | undefined) => void) | null;
  listen(backlog: number): number;
  getsockname(into: { address?: string; port?: number }): number;
  getpeername(into: { address?: string; port?: number }): number;
  close(done?: () => void): void;
}

/** A Unix socket, known by the members that child_process relies on. */
export interface PipeHandle {
  readonly fd: number;
  onread: ((bytes: ArrayBuffer | undefined) => void) | null;
  readStart(): number;
  readStop(): number;
  close(done?: () => void): void;
}

// Plain maps: a message can be read without what was sent before it, by a process of another build too.
const coder = new Packr({ useRecords: false });

const WORKER_TYPES: readonly string[] = [
  "configure",
  "health",
  "tickets",
  "targets",
  "listen",
  "unlisten",
  "changed",
  "pipe",
  "connection",
  "move",
  "explain",
  "observe",
  "inspect",
  "drain",
];
const PRIMARY_TYPES: readonly string[] = [
  "hello",
  "configured",
  "load",
  "busy",
  "applied",
  "targets",
  "figures",
  "inspected",
  "explained",
  "drained",
];

export function encodeMessage(message: ToWorker | ToPrimary): Buffer {
  return coder.encode(message);
}

/** Undefined for anything that is not a message to a worker. */
export function decodeToWorker(bytes: unknown): ToWorker | undefined {
  return decode(bytes, WORKER_TYPES) as ToWorker | undefined;
}

/** Undefined for anything that is not a message to the primary. */
export function decodeToPrimary(bytes: unknown): ToPrimary | undefined {
  return decode(bytes, PRIMARY_TYPES) as ToPrimary | undefined;
}

// Both ends are ours and of one version after `hello`, so the type is checked and the members are trusted.
function decode(bytes: unknown, types: readonly string[]): unknown {
  if (!(bytes instanceof Uint8Array)) return undefined;
  let message: unknown;
  try {
    message = coder.decode(bytes);
  } catch {
    return undefined;
  }
  if (typeof message !== "object" || message === null || !("type" in message)) return undefined;
  return types.includes(String(message.type)) ? message : undefined;
}
