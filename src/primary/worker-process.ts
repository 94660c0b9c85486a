// One worker process as the primary sees it.
// Responsible for: its messages, the connections on their way to it, and what is known of its load.
// Must not know: why it is started, which worker a connection should go to, what is in a connection.
// Contract: src/shared/messages.ts. Runs: once per placed connection.

import cluster, { type Worker } from "node:cluster";
import type { Explanation, Question } from "../shared/explanation.js";
import { type HandOver, makeHandOver } from "../shared/hand-over.js";
import {
  decodeToPrimary,
  encodeMessage,
  type HealthState,
  type PipeHandle,
  PROTOCOL_VERSION,
  type TcpHandle,
  type TicketKeys,
  type ToPrimary,
  type ToWorker,
  type WorkerConfig,
} from "../shared/messages.js";
import type { Figures } from "../shared/observe/figures.js";
import type { Inspection, InspectionQuery } from "../shared/observe/inspection.js";
import type { StoreChange } from "../shared/store/store.js";

/** An accepted connection that no worker has taken over yet. */
export interface Connection {
  readonly handle: TcpHandle;
  readonly port: number;
}

export interface WorkerEvents {
  /** It can be spoken to and has no configuration yet: what it shall listen on goes to it first. */
  greeted(worker: WorkerProcess): void;
  ready(worker: WorkerProcess): void;
  /** It told its load or took connections over: what waits may fit now. */
  relieved(): void;
  /** It has found out which targets are down. */
  targets(worker: WorkerProcess, down: readonly string[]): void;
  /** It tells what it has counted since it told last. */
  figures(worker: WorkerProcess, figures: Figures): void;
  /** It cannot serve this configuration, or it speaks another version: starting it again would not help. */
  refused(worker: WorkerProcess, problem: string): void;
  /** The process has ended and every message it had sent has been read. What it never took over can be taken back. */
  ended(worker: WorkerProcess, how: string): void;
}

// A worker whose loop stands still stops taking connections over; the others get them instead.
const MOST_IN_FLIGHT = 1_024;
// An operator's, or a program's in a loop; each may take as long as the store and the fetch of tokens' keys do.
const MOST_QUESTIONS = 16;
const QUESTION_MS = 10_000;
// One that stands still answers none of them.
const MOST_INSPECTIONS = 16;
// Far more than it takes to read what one channel holds.
const MOST_TURNS = 1_000;

export class WorkerProcess {
  readonly #process: Worker;
  readonly #events: WorkerEvents;
  #config: WorkerConfig;
  #greeted = false;
  /** Who waits for the answer to a configuration or to news, by generation or id. */
  readonly #configuring = new Map<number, (problem: string) => void>();
  readonly #telling = new Map<number, () => void>();
  readonly #explaining = new Map<number, (explanation: Explanation | undefined) => void>();
  #questions = 0;
  readonly #observing = new Map<number, () => void>();
  readonly #inspecting = new Map<number, (inspection: Inspection | undefined) => void>();
  #observations = 0;
  #health: HealthState;
  readonly #tickets: () => TicketKeys;
  /** In the order of their ids, the last of which is #sent. */
  readonly #inFlight: Connection[] = [];
  #sent = 0;
  #sharedUnconfirmed = 0;
  /** Undefined until it is greeted, and where no pipe can be made: then connections go over the channel. */
  #handOver: HandOver | undefined;
  /** The worker's end of it, until the worker has it. */
  #far: PipeHandle | undefined;
  #load = { adopted: 0, connections: 0, calls: 0 };
  #busy = -1;
  /** It carries far more than its share. */
  hot = false;
  #ready = false;
  #draining = false;
  /** The process has ended; what it had sent may not have been read yet. */
  #gone = false;

  constructor(config: WorkerConfig, health: HealthState, tickets: () => TicketKeys, events: WorkerEvents) {
    this.#config = config;
    this.#health = health;
    this.#tickets = tickets;
    this.#events = events;
    this.#process = cluster.fork();
    this.#process.on("message", (bytes: unknown) => this.#receive(bytes));
    // Node confirms each handle before it delivers the message beside it, so before a byte of the connection is read.
    // Seen here it saves a message of our own per connection; if a Node should not show it, the load reports do the same.
    this.#process.process.on("internalMessage", (message: unknown) => {
      if (isReceipt(message)) this.#receipt();
    });
    // A fault of the channel is followed by its end, which is what we act on.
    this.#process.on("error", () => {});
    this.#process.on("exit", (code: number, signal: string) => {
      this.#ready = false;
      this.#gone = true;
      this.#closeFar();
      this.#nobodyAnswers();
      this.#settle(signal ? `signal ${signal}` : `exit code ${code}`, MOST_TURNS);
    });
  }

  get pid(): number {
    return this.#process.process.pid ?? 0;
  }

  /** Whether a connection may be given to it now. */
  get takesConnections(): boolean {
    return this.ready && !this.#draining && this.#inFlight.length < MOST_IN_FLIGHT;
  }

  get ready(): boolean {
    return this.#ready && this.#process.isConnected();
  }

  /** Connections, those that its last report did not count yet included. */
  get connections(): number {
    return this.#load.connections + this.#sent - this.#load.adopted;
  }

  get calls(): number {
    return this.#load.calls;
  }

  /** Share of time in which its loop had something to do; below 0 while it is not known. */
  get busy(): number {
    return this.#draining ? -1 : this.#busy;
  }

  /** So many of its connections are asked to come back. */
  move(connections: number): void {
    this.#send({ type: "move", connections });
  }

  give(connection: Connection): void {
    this.#sent += 1;
    this.#inFlight.push(connection);
    if (this.#handOver !== undefined) this.#handOver.give(connection.handle, connection.port);
    else this.#send({ type: "connection", id: this.#sent, port: connection.port }, connection.handle);
  }

  /** The primary keeps its own descriptor: that is what keeps the port open without this worker. */
  share(handle: TcpHandle, port: number): void {
    this.#sharedUnconfirmed += 1;
    this.#send({ type: "listen", port }, handle);
  }

  /** One that is still starting is told when it is ready: what it was greeted with may be old by then. */
  health(state: HealthState): void {
    this.#health = state;
    if (this.#ready) this.#send({ type: "health", state });
  }

  /** @param asks whether it is this worker that checks targets */
  targets(asks: boolean, down: readonly string[]): void {
    if (this.#ready) this.#send({ type: "targets", asks, down });
  }

  tickets(keys: TicketKeys): void {
    if (this.#ready) this.#send({ type: "tickets", keys });
  }

  /**
   * Resolves with the worker's problem, empty when it is in force, or when nobody is left who could go by what was before.
   * One that is still starting gets the newest.
   */
  configure(config: WorkerConfig): Promise<string> {
    this.#config = config;
    if (!this.#greeted || this.#gone) return Promise.resolve("");
    return new Promise((resolve) => {
      this.#configuring.set(config.generation, resolve);
      this.#send({ type: "configure", config });
    });
  }

  /** What a worker that starts later gets: after a configuration that was refused. */
  revert(config: WorkerConfig): void {
    this.#config = config;
  }

  /** Resolves when it is applied, or when there is nobody left who could still go by what was before. */
  changed(id: number, change: StoreChange): Promise<void> {
    if (!this.ready) return Promise.resolve();
    return new Promise((resolve) => {
      this.#telling.set(id, resolve);
      this.#send({ type: "changed", id, change });
    });
  }

  /** Resolves with nothing when it cannot say. */
  explain(question: Question): Promise<Explanation | undefined> {
    if (!this.ready || this.#explaining.size >= MOST_QUESTIONS) return Promise.resolve(undefined);
    this.#questions += 1;
    const id = this.#questions;
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#explained(id, undefined), QUESTION_MS);
      this.#explaining.set(id, (explanation) => {
        clearTimeout(late);
        resolve(explanation);
      });
      this.#send({ type: "explain", id, question });
    });
  }

  #explained(id: number, explanation: Explanation | undefined): void {
    this.#explaining.get(id)?.(explanation);
    this.#explaining.delete(id);
  }

  /** Nobody waits for this answer any more. */
  forgetChange(id: number): void {
    this.#telling.delete(id);
  }

  /** Resolves when its figures have come, or will not come any more. */
  observe(): Promise<void> {
    // One that does not answer is not asked again and again.
    if (!this.ready || this.#observing.size > 1) return Promise.resolve();
    this.#observations += 1;
    const id = this.#observations;
    return new Promise((resolve) => {
      this.#observing.set(id, resolve);
      this.#send({ type: "observe", id });
    });
  }

  /** Undefined when it cannot answer. */
  inspect(query: InspectionQuery): Promise<Inspection | undefined> {
    if (!this.ready || this.#inspecting.size >= MOST_INSPECTIONS) return Promise.resolve(undefined);
    this.#observations += 1;
    const id = this.#observations;
    return new Promise((resolve) => {
      this.#inspecting.set(id, resolve);
      this.#send({ type: "inspect", id, query });
    });
  }

  /** The port is closed: its connections are to be drained. */
  leave(port: number): void {
    this.#send({ type: "unlisten", port });
  }

  /** @param silentMs how long connections that have said nothing yet may be heard: another worker takes the next ones */
  drain(timeoutMs: number, silentMs = 0): void {
    this.#draining = true;
    // Before it serves it has nothing to finish, and before its first word it would not hear this.
    if (!this.#ready) this.kill();
    else this.#send({ type: "drain", timeoutMs, silentMs });
  }

  kill(): void {
    this.#process.process.kill("SIGKILL");
  }

  /** The connections it never took over: nothing of them has been read, another worker can have them. */
  takeBack(): Connection[] {
    return this.#inFlight.splice(0);
  }

  #send(message: ToWorker, handle?: TcpHandle | PipeHandle): void {
    if (!this.#process.isConnected()) return;
    // node:cluster's types know sockets and servers only; child_process passes a bare handle on as it is.
    const beside = handle as unknown as Parameters<Worker["send"]>[1];
    this.#process.send(encodeMessage(message), beside, undefined, () => {});
  }

  #receive(bytes: unknown): void {
    const message = decodeToPrimary(bytes);
    if (message !== undefined) this.#obey(message);
  }

  #obey(message: ToPrimary): void {
    switch (message.type) {
      case "hello":
        void this.#greet(message.protocol);
        return;
      case "configured":
        this.#configured(message.generation, message.problem);
        return;
      case "applied":
        this.#telling.get(message.id)?.();
        this.#telling.delete(message.id);
        return;
      case "load":
        this.#load = message;
        this.#confirmed(message.adopted);
        return;
      case "busy":
        this.#busy = message.share;
        return;
      case "targets":
        this.#events.targets(this, message.down);
        return;
      case "figures":
        this.#events.figures(this, message.figures);
        this.#observing.get(message.id)?.();
        this.#observing.delete(message.id);
        return;
      case "explained":
        this.#explained(message.id, message.explanation);
        return;
      case "inspected":
        this.#inspecting.get(message.id)?.(message.inspection);
        this.#inspecting.delete(message.id);
        return;
      case "drained":
        return;
    }
  }

  async #greet(protocol: number): Promise<void> {
    if (protocol !== PROTOCOL_VERSION) {
      this.#events.refused(this, `it speaks version ${protocol} of the messages, this primary ${PROTOCOL_VERSION}`);
      return;
    }
    const pair = await makeHandOver({
      adopted: (count) => this.#confirmed(count),
      unsent: (handle) => this.#unsent(handle),
    });
    if (pair !== undefined) this.#sendPipe(pair.handOver, pair.far);
    this.#greeted = true;
    this.#events.greeted(this);
    this.#send({ type: "tickets", keys: this.#tickets() });
    this.#send({ type: "configure", config: this.#config });
    this.#send({ type: "health", state: this.#health });
  }

  #sendPipe(handOver: HandOver, far: PipeHandle): void {
    // It may have died meanwhile: then nobody would close these.
    if (!this.#process.isConnected()) {
      handOver.close();
      far.close();
      return;
    }
    this.#handOver = handOver;
    this.#sharedUnconfirmed += 1;
    this.#far = far;
    this.#send({ type: "pipe" }, far);
  }

  #configured(generation: number, problem: string): void {
    const waiting = this.#configuring.get(generation);
    if (waiting !== undefined) {
      this.#configuring.delete(generation);
      waiting(problem);
      return;
    }
    // Nobody waits for it any more: it came too late.
    if (this.#ready) return;
    if (problem !== "") {
      this.#events.refused(this, problem);
      return;
    }
    this.#ready = true;
    this.#send({ type: "health", state: this.#health });
    this.#send({ type: "tickets", keys: this.#tickets() });
    this.#events.ready(this);
  }

  #nobodyAnswers(): void {
    for (const resolve of this.#configuring.values()) resolve("the worker died while it took the configuration");
    for (const resolve of this.#telling.values()) resolve();
    for (const id of [...this.#explaining.keys()]) this.#explained(id, undefined);
    for (const resolve of this.#observing.values()) resolve();
    for (const resolve of this.#inspecting.values()) resolve(undefined);
    this.#configuring.clear();
    this.#telling.clear();
    this.#observing.clear();
    this.#inspecting.clear();
  }

  // Handles are sent one after the other and confirmed in that order; shared listening sockets are the first ones.
  #receipt(): void {
    if (this.#sharedUnconfirmed > 0) this.#sharedUnconfirmed -= 1;
    else this.#release(1);
    // It is the first of all.
    this.#closeFar();
    this.#events.relieved();
  }

  /** @param adopted how many connections it has taken over since it began */
  #confirmed(adopted: number): void {
    this.#release(this.#inFlight.length - (this.#sent - adopted));
    this.#events.relieved();
  }

  /** Its caller finds the connection closed: there is no room for it anywhere. */
  #unsent(handle: TcpHandle): void {
    const at = this.#inFlight.findIndex((connection) => connection.handle === handle);
    if (at < 0) return;
    this.#inFlight.splice(at, 1);
    this.#sent -= 1;
    handle.close();
  }

  #closeFar(): void {
    this.#far?.close();
    this.#far = undefined;
  }

  #release(count: number): void {
    for (let left = count; left > 0; left -= 1) this.#inFlight.shift()?.handle.close();
  }

  // The process is gone, but its last words may still wait in the channel, and they decide which connections it had
  // taken over. The event `disconnect` cannot be waited for: it never comes while Node waits for the receipt of a
  // handle. Turns of the loop are enough, for the end of the channel is already there to be read.
  #settle(how: string, turns: number): void {
    setImmediate(() => {
      const speaks = this.#process.isConnected() || this.#handOver?.ended === false;
      if (speaks && turns > 0) this.#settle(how, turns - 1);
      // One turn more: messages read in this one are delivered in its ticks.
      else setImmediate(() => this.#end(how));
    });
  }

  #end(how: string): void {
    this.#handOver?.close();
    // node:cluster itself forgets a worker only at `disconnect`.
    delete cluster.workers?.[this.#process.id];
    this.#events.ended(this, how);
  }
}

function isReceipt(message: unknown): boolean {
  return typeof message === "object" && message !== null && "cmd" in message && message.cmd === "NODE_HANDLE_ACK";
}
