// A worker's side of the conversation with its primary.
// Responsible for: obeying messages, reporting load, ending the process when told or when the primary is gone.
// Must not know: HTTP/2, routes, how the primary decides.
// Contract: src/shared/messages.ts and src/worker/plane.ts.
// Runs: once per placed connection, otherwise rarely.

import cluster from "node:cluster";
import type { Logger } from "pino";
import {
  decodeToWorker,
  encodeMessage,
  type PipeHandle,
  PROTOCOL_VERSION,
  type TcpHandle,
  type ToPrimary,
  type ToWorker,
  type WorkerConfig,
} from "../shared/messages.js";
import { Listeners } from "./listener.js";
import type { CreateDataPlane, DataPlane } from "./plane.js";
import { type PipeConstructor, TakeOver } from "./take-over.js";

// The primary counts what it hands over; what has ended since reaches it this late at most.
const REPORT_MS = 100;
// After the drain's own timeout nothing should be left; what still is left then is a defect and must not hold the host.
const LAST_RESORT_MS = 2_000;
// A primary that reads nothing is not waited for.
const LAST_WORDS_MS = 500;
const DEFAULT_DRAIN_MS = 30_000;

/** Runs this process as a worker until the primary ends it; `exit` flushes what must be flushed and leaves. */
export function runWorker(createDataPlane: CreateDataPlane, log: Logger, exit: (code: number) => void): void {
  if (cluster.worker === undefined || process.send === undefined) {
    log.fatal("a worker is started by the primary: run dist/primary/main.js");
    exit(1);
    return;
  }
  // A signal to the whole process group reaches workers too; only the primary decides when they end.
  process.on("SIGINT", ignore);
  process.on("SIGTERM", ignore);
  // Otherwise node:cluster ends the process the moment the primary is gone, and running calls with it.
  cluster.worker.exitedAfterDisconnect = true;
  const control = new Control(createDataPlane, log, exit);
  process.on("message", (bytes: unknown, handle: unknown) => control.receive(bytes, handle as Handle | undefined));
  process.on("disconnect", () => control.primaryGone());
  control.send({ type: "hello", protocol: PROTOCOL_VERSION });
}

function ignore(): void {}

type Handle = TcpHandle | PipeHandle;

class Control {
  readonly #log: Logger;
  readonly #exit: (code: number) => void;
  readonly #plane: DataPlane;
  readonly #listeners = new Listeners();
  /** One configuration after the other. */
  #configuring: Promise<void> = Promise.resolve();
  #config: WorkerConfig | undefined;
  /** Undefined where connections come over the channel. */
  #takeOver: TakeOver | undefined;
  #adopted = 0;
  #reportTimer: NodeJS.Timeout | undefined;
  #reported = { adopted: 0, connections: 0, calls: 0 };
  #busyTimer: NodeJS.Timeout | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #lastResort: NodeJS.Timeout | undefined;
  #draining = false;

  constructor(createDataPlane: CreateDataPlane, log: Logger, exit: (code: number) => void) {
    this.#log = log;
    this.#exit = exit;
    this.#plane = createDataPlane({
      log,
      loadChanged: () => this.#reportLater(),
      targetsDown: (down) => this.send({ type: "targets", down }),
    });
  }

  send(message: ToPrimary): void {
    // The callback takes the error of a channel that closed meanwhile; `disconnect` is what acts on it.
    if (process.connected) process.send?.(encodeMessage(message), undefined, undefined, ignore);
  }

  /** `sent` is called when everything is in the channel, or there is nobody to read it. */
  #sendLast(message: ToPrimary, sent: () => void): void {
    if (!process.connected) return sent();
    const late = setTimeout(sent, LAST_WORDS_MS);
    process.send?.(encodeMessage(message), undefined, undefined, () => {
      clearTimeout(late);
      sent();
    });
  }

  receive(bytes: unknown, handle: Handle | undefined): void {
    const message = decodeToWorker(bytes);
    if (message === undefined) {
      this.#log.error("message from the primary not understood");
      handle?.close();
      return;
    }
    this.#obey(message, handle);
  }

  /** The primary has died: whoever starts a new one needs the ports at once; running calls may still finish. */
  primaryGone(): void {
    if (this.#draining) return;
    this.#log.warn("the primary is gone: finishing running calls");
    const seconds = this.#config?.settings.graceful_shutdown_timeout_duration;
    this.#drain(seconds === undefined ? DEFAULT_DRAIN_MS : seconds * 1_000);
  }

  #obey(message: ToWorker, handle: Handle | undefined): void {
    switch (message.type) {
      case "pipe":
        if (handle !== undefined) this.#takeOver = this.#openPipe(handle as PipeHandle);
        return;
      case "connection":
        this.#adopted = message.id;
        if (handle !== undefined) this.#plane.accept(handle as TcpHandle, message.port);
        this.#reportLater();
        return;
      case "listen":
        if (handle !== undefined) this.#listeners.add(handle as TcpHandle, message.port);
        return;
      case "unlisten":
        this.#listeners.closePort(message.port);
        this.#plane.leave(message.port);
        return;
      case "changed":
        this.#plane.changed(message.change);
        this.send({ type: "applied", id: message.id });
        return;
      case "configure":
        this.#configuring = this.#configuring.then(() => this.#configure(message.config));
        return;
      case "tickets":
        this.#plane.tickets(message.keys);
        return;
      case "targets":
        this.#plane.targets(message.asks, message.down);
        return;
      case "health":
        this.#plane.health(message.state);
        return;
      case "observe":
        this.send({ type: "figures", id: message.id, figures: this.#plane.figures() });
        return;
      case "explain":
        this.#plane.explain(message.question).then(
          (explanation) => this.send({ type: "explained", id: message.id, explanation }),
          (error: unknown) => {
            this.#log.error({ err: error }, "an operator's call cannot be explained");
            this.send({ type: "explained", id: message.id });
          },
        );
        return;
      case "inspect":
        this.send({ type: "inspected", id: message.id, inspection: this.#plane.inspect(message.query) });
        return;
      case "move":
        this.#plane.move(message.connections);
        return;
      case "drain":
        this.#drain(message.timeoutMs, message.silentMs);
        return;
    }
  }

  #openPipe(handle: PipeHandle): TakeOver {
    // As it came it stays open, and nobody closes it: Node keeps handles until they are closed.
    const Pipe = handle.constructor as unknown as PipeConstructor;
    return new TakeOver(handle.fd, Pipe, (connection, port) => {
      this.#plane.accept(connection, port);
      this.#reportLater();
    });
  }

  async #configure(config: WorkerConfig): Promise<void> {
    let problem = "";
    try {
      await this.#plane.configure(config);
      this.#config = config;
      this.#tellBusy(config.settings.connections.rebalance_interval * 1_000);
      this.#log.level = config.settings.log_level;
      problem = this.#acceptShared();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    this.send({ type: "configured", generation: config.generation, problem });
  }

  #tellBusy(everyMs: number): void {
    clearInterval(this.#busyTimer);
    if (everyMs === 0) return;
    let before = performance.eventLoopUtilization();
    this.#busyTimer = setInterval(() => {
      const now = performance.eventLoopUtilization();
      this.send({ type: "busy", share: performance.eventLoopUtilization(now, before).utilization });
      before = now;
    }, everyMs).unref();
  }

  /** Before the primary hears that this worker serves, its listeners do. */
  #acceptShared(): string {
    const failure = this.#listeners.start((connection, port) => {
      this.#plane.accept(connection, port);
      this.#reportLater();
    });
    return failure === 0 ? "" : `cannot accept on a shared port (errno ${failure})`;
  }

  #reportLater(): void {
    this.#reportTimer ??= setTimeout(() => {
      this.#reportTimer = undefined;
      this.#reportIfChanged();
    }, REPORT_MS).unref();
  }

  #reportIfChanged(): void {
    const { connections, calls } = this.#plane.load();
    const adopted = this.#takeOver?.adopted ?? this.#adopted;
    const last = this.#reported;
    if (connections === last.connections && calls === last.calls && adopted === last.adopted) return;
    this.#reported = { adopted, connections, calls };
    this.send({ type: "load", adopted, connections, calls });
  }

  #drain(timeoutMs: number, silentMs = 0): void {
    this.#listeners.close();
    const deadline = Date.now() + timeoutMs;
    if (deadline >= this.#deadline) return;
    this.#deadline = deadline;
    this.#draining = true;
    clearTimeout(this.#lastResort);
    this.#lastResort = setTimeout(() => this.#leave(1), timeoutMs + LAST_RESORT_MS);
    this.#plane.drain(timeoutMs, silentMs).then(
      () => this.#leave(0),
      (error: unknown) => {
        this.#log.error({ err: error }, "drain failed");
        this.#leave(1);
      },
    );
  }

  #leave(code: number): void {
    clearTimeout(this.#lastResort);
    if (code !== 0) this.#log.error("connections were left after the drain's timeout");
    // What was counted since the primary asked last would be lost with the process.
    if (this.#config !== undefined) this.send({ type: "figures", id: 0, figures: this.#plane.figures() });
    this.#sendLast({ type: "drained" }, () => this.#exit(code));
  }
}
