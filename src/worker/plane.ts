// The boundary between a worker's process (control.ts) and its data plane (data-plane.ts).
// Responsible for the contract only. Must not know: IPC, signals, routes, HTTP/2.
// Contract: control.ts calls configure and health once before the first accept; everything happens on one event loop.

import type { Logger } from "pino";
import type { Explanation, Question } from "../shared/explanation.js";
import type { HealthState, Load, TcpHandle, TicketKeys, WorkerConfig } from "../shared/messages.js";
import type { Figures } from "../shared/observe/figures.js";
import type { Inspection, InspectionQuery } from "../shared/observe/inspection.js";
import type { StoreChange } from "../shared/store/store.js";

export interface DataPlane {
  /** Rejects with an Error that names what is wrong; then the configuration before it stays in force. */
  configure(config: WorkerConfig): Promise<void>;
  /** Something in the store is different: when this returns, no call is decided by what was before. */
  changed(change: StoreChange): void;
  /** The port is no longer served: its connections are drained. */
  leave(port: number): void;
  /** An accepted connection of which nothing was read; the plane owns the handle from here, also when it refuses it. */
  accept(handle: TcpHandle, port: number): void;
  /** What session tickets are sealed under from now on; the first ones come before the first configuration. */
  tickets(keys: TicketKeys): void;
  /** So many connections are drained so that their callers come back, to another worker. */
  move(connections: number): void;
  /** Which targets are down by their health checks, and whether this worker is to check them. */
  targets(asks: boolean, down: readonly string[]): void;
  /** What /hello and /ready answer on the main port from now on. */
  health(state: HealthState): void;
  /**
   * Two-phase GOAWAY; calls finish up to the timeout, the rest ends UNAVAILABLE; resolves when no connection is left.
   * Connections accepted later (they were on their way) are drained at once too. Called again with a smaller
   * timeout it shortens the running drain: 0 ends everything now. Connections that have said nothing yet are closed, or
   * heard for `silentMs` first and then asked to go like all others.
   */
  drain(timeoutMs: number, silentMs: number): Promise<void>;
  load(): Load;
  /** What would become of a call; nothing is sent, and no unit of a limit is taken. */
  explain(question: Question): Promise<Explanation>;
  /** What was counted since the last time, and how things stand. */
  figures(): Figures;
  inspect(query: InspectionQuery): Inspection;
}

/** What the worker's process offers to its data plane. */
export interface PlaneHooks {
  readonly log: Logger;
  /** To be called when load() has changed; cheap, reports are gathered into one message a turn. */
  loadChanged(): void;
  /** The targets that are down, all of them, as this worker has found out. */
  targetsDown(down: readonly string[]): void;
}

export type CreateDataPlane = (hooks: PlaneHooks) => DataPlane;
