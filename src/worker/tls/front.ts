// The TLS ports of a worker: receives callers, does their handshakes a few at a time, and hands them on.
// Responsible for pacing, bounds, time limits and counting. Must not know: HTTP/2, what is in a certificate.
// A full handshake holds the event loop for a good part of a millisecond; everything else on this loop waits meanwhile.
// So only a few begin in one turn, and between turns the established connections are served.
// Runs: once per connection and turn while handshakes wait.

import type { Logger } from "pino";
import type { Clock } from "../../shared/base/clock.js";
import type { CertificateRecord } from "../../shared/certificates/certificate.js";
import type { Settings } from "../../shared/config.js";
import type { TcpHandle, TicketKeys, WorkerConfig } from "../../shared/messages.js";
import type { Transport } from "../downstream/transport.js";
import { Alert, Arrival, type ArrivalHost, type Failure } from "./arrival.js";
import { type Chosen, Contexts } from "./contexts.js";
import { Receptions } from "./reception.js";
import { TlsThreads } from "./threads.js";

/** Read out by whoever shows metrics. */
export interface TlsCounts {
  full: number;
  resumed: number;
  readonly failed: Record<Failure, number>;
}

export interface FrontOptions {
  readonly clock: Clock;
  readonly log: Logger;
  admit(transport: Transport, port: number): void;
  /** Connections that are not callers yet have become more or fewer. */
  changed(): void;
  /** This front is itself on a thread that ends TLS. */
  readonly onThread?: boolean;
  /** What threads run; another file in tests. */
  readonly threadFile?: URL;
}

const THREAD_FILE = new URL("./thread.js", import.meta.url);

interface Waiting {
  readonly arrival: Arrival;
  readonly chosen: Chosen;
}

export class TlsFront implements ArrivalHost {
  readonly counts: TlsCounts = {
    full: 0,
    resumed: 0,
    failed: { not_tls: 0, hello: 0, name: 0, handshake: 0, client_certificate: 0, timeout: 0, overload: 0 },
  };
  private readonly options: FrontOptions;
  private readonly arrivals = new Set<Arrival>();
  private readonly waiting: Waiting[] = [];
  /** Made with the first configuration that asks for some; they stay as many. */
  private threads: TlsThreads | null = null;
  private ports = new Map<number, Receptions>();
  private contexts: Contexts | null = null;
  private keys: TicketKeys | null = null;
  private config: WorkerConfig | null = null;
  private front!: Settings["http_server_options"];
  /** Certificates of the store, by id. */
  private stored: ReadonlyMap<string, CertificateRecord> = new Map();
  private scheduled = false;
  private readonly run = (): void => this.shakeSome();

  constructor(options: FrontOptions) {
    this.options = options;
  }

  configure(config: WorkerConfig): void {
    this.config = config;
    this.compile();
  }

  /** Certificates that references into the store stand for; new handshakes see them from here on. */
  certificates(stored: ReadonlyMap<string, CertificateRecord>): void {
    this.stored = stored;
    this.compile();
  }

  tickets(keys: TicketKeys): void {
    this.keys = keys;
    this.contexts?.tickets(keys);
    this.threads?.tickets(keys);
  }

  private compile(): void {
    const { config } = this;
    if (config === null) return;
    this.front = config.settings.http_server_options;
    if (this.contexts === null) this.contexts = new Contexts(this.front);
    else this.contexts.configure(this.front);
    if (this.keys !== null) this.contexts.tickets(this.keys);
    const find = (reference: string) => this.find(reference);
    const missing = (port: number) => (reference: string) => {
      // A thread says nothing of it: the loop compiles the same.
      if (this.options.onThread === true) return;
      this.options.log.warn({ port, certificate: reference.slice(0, 100) }, "certificate is not in the store");
    };
    const ports = new Map<number, Receptions>();
    for (const { port, protocol } of config.ports)
      if (protocol === "https") ports.set(port, new Receptions(config, port, find, missing(port)));
    this.ports = ports;
    this.configureThreads(config);
  }

  private configureThreads(config: WorkerConfig): void {
    if (this.options.onThread === true || this.front.tls_threads === 0 || this.ports.size === 0) return;
    this.threads ??= this.startThreads(this.front.tls_threads);
    if (this.keys !== null) this.threads.tickets(this.keys);
    const certificates = { ...config.certificates, ...Object.fromEntries(this.stored) };
    this.threads.configure({ ...config, certificates });
  }

  private startThreads(count: number): TlsThreads {
    return new TlsThreads({
      count,
      file: this.options.threadFile ?? THREAD_FILE,
      log: this.options.log,
      admit: (transport, port) => this.options.admit(transport, port),
      changed: () => this.options.changed(),
      counted: ({ full, resumed, failed }) => {
        this.counts.full += full;
        this.counts.resumed += resumed;
        for (const [name, more] of Object.entries(failed)) this.counts.failed[name as Failure] += more;
      },
      returned: (handle, port) => this.receive(handle, port),
    });
  }

  /** By reference, from the configuration or the store; undefined for one that is not there. */
  find(reference: string): CertificateRecord | undefined {
    return this.config?.certificates[reference] ?? this.stored.get(reference);
  }

  serves(port: number): boolean {
    return this.ports.has(port);
  }

  /** Connections whose handshake is not over. */
  get pending(): number {
    return this.arrivals.size + (this.threads?.pending ?? 0);
  }

  /** Threads that TLS can end on just now. */
  get threadsServing(): number {
    return this.threads?.serving ?? 0;
  }

  accept(handle: TcpHandle, port: number): void {
    if (this.threads === null || !this.threads.take(handle, port)) this.receive(handle, port);
  }

  /** The handshake is done on this loop. */
  private receive(handle: TcpHandle, port: number): void {
    if (this.arrivals.size >= this.front.max_handshakes) {
      this.counts.failed.overload++;
      handle.close();
      return;
    }
    const arrival = new Arrival(handle, port, this.options.clock.now, this);
    this.arrivals.add(arrival);
    this.options.changed();
  }

  greeted(arrival: Arrival): void {
    const receptions = this.ports.get(arrival.port);
    const hello = arrival.hello!;
    const reception = receptions?.receive(hello.serverName);
    if (reception === undefined || reception.certificates.length === 0) {
      arrival.refuse(
        "name",
        Alert.UNRECOGNIZED_NAME,
        `no certificate for ${hello.serverName || "callers without a name"}`,
      );
      return;
    }
    arrival.reception = reception;
    const chosen = this.contexts!.choose(reception, hello.ticketKeyNames);
    // Without a signature to make a handshake costs little; it need not wait behind those that do.
    if (chosen.resumes || this.front.handshakes_per_turn === 0) arrival.shake(chosen.context, reception.clientAuth);
    else {
      this.waiting.push({ arrival, chosen });
      this.schedule();
    }
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.run);
  }

  private shakeSome(): void {
    this.scheduled = false;
    for (let n = this.front.handshakes_per_turn; n > 0 && this.waiting.length > 0; n--) {
      const { arrival, chosen } = this.waiting.shift()!;
      if (arrival.reception !== null) arrival.shake(chosen.context, arrival.reception.clientAuth);
    }
    if (this.waiting.length > 0) this.schedule();
  }

  secured(arrival: Arrival, transport: Transport): void {
    if (arrival.resumed) this.counts.resumed++;
    else this.counts.full++;
    this.options.admit(transport, arrival.port);
  }

  failed(arrival: Arrival, failure: Failure, reason: string): void {
    this.counts.failed[failure]++;
    this.options.log.debug(
      { port: arrival.port, name: arrival.hello?.serverName, failure, reason },
      "no TLS connection",
    );
  }

  ended(arrival: Arrival): void {
    this.arrivals.delete(arrival);
    this.options.changed();
  }

  tick(now: number): void {
    const limit = (this.front?.handshake_timeout ?? 0) * 1_000;
    for (const arrival of this.arrivals) {
      if (now - arrival.since < limit) return; // In the order of their coming.
      this.failed(arrival, "timeout", "no handshake within the time allowed");
      arrival.drop();
    }
  }

  /** Nobody is received any more. */
  close(): void {
    this.waiting.length = 0;
    for (const arrival of [...this.arrivals]) arrival.drop();
    this.threads?.close();
  }
}
