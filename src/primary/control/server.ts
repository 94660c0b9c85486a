// The control port: HTTP/1.1 and HTTP/2 with prior knowledge on one socket.
// Responsible for telling the two apart, their limits, and closing. Must not know: routes.
// Governed by: RFC 9113 section 3.4 (the preface). Runs: per connection of an operator or a probe.

import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import type { Hono } from "hono";
import type { ControlTls } from "../control-tls.js";
import type { PeerBindings } from "./guard.js";
import type { HealthService } from "./health-service.js";

// "PRI" begins no HTTP/1.1 method: three bytes tell the protocols apart.
const PREFACE = Buffer.from("PRI");
// A connection that says nothing, or stops in a request, is not kept; nor are more than operators and probes need.
const SILENCE_MS = 10_000;
const IDLE_SESSION_MS = 120_000;
const MOST_CONNECTIONS = 1_024;
/** For what was asked before the port moved. */
const RETIRE_MS = 5_000;

function peerOfSocket(incoming: Incoming): string {
  return incoming.socket.remoteAddress ?? "";
}

function peerInHeader(incoming: Incoming): string {
  return String(incoming.headers["x-sluice-peer"] ?? "");
}

type Incoming = HttpBindings["incoming"] | Http2Bindings["incoming"];

export class ControlServer {
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #listener: net.Server;
  readonly #sockets = new Set<net.Socket>();
  /** Undefined: in the clear. */
  #tls: ControlTls | undefined;

  /** `relayed`: requests come from workers, which say in a header who asked them. */
  constructor(app: Hono, relayed = false, tls?: ControlTls, health?: HealthService) {
    this.secure(tls);
    const peerOf = relayed ? peerInHeader : peerOfSocket;
    const fetch = (request: Request, env: HttpBindings | Http2Bindings) =>
      app.fetch(request, { peer: peerOf(env.incoming) } satisfies PeerBindings);
    const answer = getRequestListener(fetch, { overrideGlobalObjects: false });
    this.#http1 = http.createServer(answer);
    // Node's own checks of a request's time begin with the server's listen(), which is not called here.
    this.#http1.setTimeout(SILENCE_MS);
    this.#http2 = http2.createServer((request, response) => {
      if (health?.takes(request, response) !== true) void answer(request, response);
    });
    this.#http2.setTimeout(IDLE_SESSION_MS);
    // A peer that breaks the protocol ends its own session; there is nobody else to tell.
    this.#http2.on("sessionError", () => {});
    this.#listener = net.createServer((socket) => this.#accept(socket));
    this.#listener.maxConnections = MOST_CONNECTIONS;
  }

  /** For connections from now on. */
  secure(tls: ControlTls | undefined): void {
    this.#tls = tls;
    tls?.admitTo((secured) => this.#begin(secured));
  }

  /** Rejects with the system's error when the port cannot be opened. */
  async listen(address: string, port: number): Promise<number> {
    this.#listener.listen(address === "" ? { port } : { port, host: address });
    await once(this.#listener, "listening");
    return (this.#listener.address() as net.AddressInfo).port;
  }

  /** On a Unix socket, for the workers of this host. */
  async listenOn(path: string): Promise<void> {
    this.#listener.listen({ path });
    await once(this.#listener, "listening");
  }

  /** No new connections; those that are there get their answers and go. */
  retire(): void {
    this.#listener.close();
    setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, RETIRE_MS).unref();
  }

  async close(): Promise<void> {
    if (!this.#listener.listening) return;
    const closed = once(this.#listener, "close");
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    if (this.#tls === undefined) this.#begin(socket);
    else this.#tls.receive(socket);
  }

  #begin(socket: net.Socket): void {
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    this.#sniff(socket, Buffer.alloc(0));
  }

  // Waits for as many bytes as it takes, which may come one by one, and puts them back for whoever reads on.
  #sniff(socket: net.Socket, before: Buffer): void {
    socket.once("data", (chunk: Buffer) => {
      socket.pause();
      const start = Buffer.concat([before, chunk]);
      const length = Math.min(start.length, PREFACE.length);
      const mayBeHttp2 = start.compare(PREFACE, 0, length, 0, length) === 0;
      if (mayBeHttp2 && length < PREFACE.length) {
        this.#sniff(socket, start);
        socket.resume();
        return;
      }
      socket.removeAllListeners("timeout");
      socket.setTimeout(0);
      socket.unshift(start);
      // HTTP/2 takes the bytes put back by itself; HTTP/1.1 gets them when the socket flows again.
      (mayBeHttp2 ? this.#http2 : this.#http1).emit("connection", socket);
      if (!mayBeHttp2) socket.resume();
    });
  }
}
