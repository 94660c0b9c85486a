// What `GET /tyk/debug/connections` shows of one worker: live connections and why their streams wait. No credential, no
// payload, no query of a path. Responsible for the shape and its bounds. Runs: per question of an operator.

/** What is wanted of all that there is. */
export interface InspectionQuery {
  /** Connections, and streams of all of them, that one worker shows. */
  readonly most: number;
  /** Only of this caller's address, or of this API; empty for all. */
  readonly address: string;
  readonly api: string;
}

export const MOST_SHOWN = 1_000;

export interface StreamReport {
  readonly id: number;
  /** Empty for what is no call: health, the control API. */
  readonly api: string;
  readonly path: string;
  readonly ms: number;
  /** Since a frame of it last passed, either direction. */
  readonly silent_ms: number;
  /** Why it does not go on just now; see worker/observe/wait-reason.ts. */
  readonly waits_for: string;
  /** Ms until its deadline; absent without one. */
  readonly deadline_ms?: number;
  readonly from_caller: DirectionReport;
  readonly to_caller: DirectionReport;
  /** Absent before it is sent to a service. */
  readonly service?: {
    readonly target: string;
    readonly stream: number;
    readonly from_service: DirectionReport;
    readonly to_service: DirectionReport;
  };
}

/** One direction of a stream at one of our sockets. */
export interface DirectionReport {
  /** Octets that the receiver has granted. */
  readonly window: number;
  /** Octets so far (received), or waiting here (to be sent). */
  readonly bytes: number;
}

export interface ConnectionReport {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly tls: boolean;
  /** It showed a certificate; which one is not told. */
  readonly certificate: boolean;
  readonly ms: number;
  readonly silent_ms: number;
  readonly draining: boolean;
  /** Of the connection, as its streams'. */
  readonly send_window: number;
  readonly receive_window: number;
  /** Octets in the socket's queue. */
  readonly unsent: number;
  readonly open: number;
  readonly streams: readonly StreamReport[];
}

export interface ServiceConnectionReport {
  readonly target: string;
  readonly state: string;
  readonly open: number;
  /** Calls it can still take. */
  readonly room: number;
  readonly send_window: number;
  readonly receive_window: number;
  readonly unsent: number;
}

export interface Inspection {
  readonly connections: number;
  readonly streams: number;
  /** All streams by what they wait for, those that are not shown included. */
  readonly waits: Readonly<Record<string, number>>;
  readonly callers: readonly ConnectionReport[];
  readonly services: readonly ServiceConnectionReport[];
}
