// A TLS front on a port of its own inside the test's process, with configurations that a test changes at will, and what
// became of each connection. Must not know: what is tested. Runs: tests only.

import { randomBytes } from "node:crypto";
import net, { type AddressInfo } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { pino } from "pino";
import { CertificateCollection } from "../../src/shared/certificates/collection.js";
import type { TcpHandle, TicketKeys } from "../../src/shared/messages.js";
import type { ApiDefinition } from "../../src/shared/model/api-definition.js";
import type { Transport } from "../../src/worker/downstream/transport.js";
import { type FrontOptions, TlsFront } from "../../src/worker/tls/front.js";
import { settingsWith } from "../model/fixture.js";
import { definition } from "../route/fixture.js";

type Json = Record<string, unknown>;

export interface Seen {
  readonly transport: Transport;
  readonly text: string;
}

/** A definition on the front's port with TLS of its own. */
export function api(id: string, domain: string, more: Partial<ApiDefinition> = {}): ApiDefinition {
  return { ...definition({ id, path: `/${id}`, port: FRONT_PORT, domain }), protocol: "https", ...more };
}

/** What the configuration calls the port; where it really listens is another matter. */
export const FRONT_PORT = 8443;

/** mortal-thread.ts does not survive ticket keys of this generation. */
export const DEADLY_GENERATION = 666;

export function freshKeys(previous: TicketKeys | null = null): TicketKeys {
  return {
    generation: (previous?.generation ?? 0) + 1,
    current: randomBytes(48),
    previous: previous?.current ?? null,
  };
}

export class FrontHarness {
  readonly front: TlsFront;
  readonly seen: Seen[] = [];
  port = 0;
  readonly #sockets = new Set<net.Socket>();
  #handle!: TcpHandle;

  constructor(options: Partial<FrontOptions> = {}) {
    this.front = new TlsFront({
      ...options,
      clock: { now: 0 },
      log: pino({ level: "silent" }),
      admit: (transport) => this.#admit(transport),
      changed: () => {},
    });
  }

  /** @param own the port as the configuration knows it */
  listen(own = FRONT_PORT): this {
    const make = (net as unknown as { _createServerHandle(a: string, p: number, f: number): TcpHandle })
      ._createServerHandle;
    this.#handle = make("127.0.0.1", 0, 4);
    this.#handle.onconnection = (_status, connection) => this.front.accept(connection!, own);
    this.#handle.listen(128);
    const bound: Partial<AddressInfo> = {};
    this.#handle.getsockname(bound);
    this.port = bound.port!;
    return this;
  }

  configure(definitions: readonly ApiDefinition[], settings: Json = {}, ports = [FRONT_PORT]): this {
    const read = settingsWith({ enable_custom_domains: true, ...settings });
    const refuse = (_path: readonly PropertyKey[], message: string): never => {
      throw new Error(message);
    };
    const collection = new CertificateCollection(read, refuse as never);
    collection.settings(read, refuse);
    for (const one of definitions) collection.definition(one, refuse);
    this.front.configure({
      generation: 1,
      settings: read,
      definitions,
      closed: [],
      ports: ports.map((port) => ({ port, address: "", protocol: "https", main: false })),
      certificates: collection.records,
    } as never);
    return this;
  }

  /** Answers what it is told; a caller that reads it has come through. */
  #admit(transport: Transport): void {
    const block = Buffer.alloc(1_024);
    const socket = transport.open(
      () => block,
      (n) => {
        const text = block.toString("latin1", 0, n);
        this.seen.push({ transport, text });
        socket.write(`heard ${text}`);
        return true;
      },
    );
    this.#sockets.add(socket);
    socket.on("error", () => {});
  }

  close(): void {
    this.front.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#handle.close();
  }
}

export interface Came {
  /** "heard …", or what ended the connection instead. */
  readonly answer: string;
  readonly resumed: boolean;
  readonly protocol: string | null;
  readonly shown: string;
  /** For a connection later; undefined when none was given. */
  readonly session: Buffer | undefined;
}

/** Connects, says something, hears the answer and, if there is one, a ticket. */
export function visit(port: number, options: ConnectionOptions = {}): Promise<Came> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      ...options,
    });
    let answer = "";
    let session: Buffer | undefined;
    let facts = { resumed: false, protocol: null as string | null, shown: "" };
    const done = (): void => {
      socket.destroy();
      resolve({ answer, session, ...facts });
    };
    socket.on("session", (ticket: Buffer) => {
      session = ticket;
    });
    socket.on("secureConnect", () => {
      const shown = String(socket.getPeerCertificate().subject?.CN ?? "");
      facts = { resumed: socket.isSessionReused(), protocol: socket.getProtocol(), shown };
      if (facts.protocol === "TLSv1.2") session = socket.getSession();
      socket.write("hello");
    });
    socket.on("data", (bytes: Buffer) => {
      answer = bytes.toString();
      // Tickets of TLS 1.3 come before the answer, in the same flight as a rule.
      setImmediate(done);
    });
    socket.on("error", (error: NodeJS.ErrnoException & { reason?: string }) => {
      answer ||= error.reason ?? error.code ?? error.message;
    });
    socket.on("close", () => {
      answer ||= "closed";
      done();
    });
  });
}
