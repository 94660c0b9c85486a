// Responsible for: a service that tells what reached it: method, path, fields; as a gRPC message or as plain JSON.
// Must not know: the gateway. Governed by: the gRPC protocol document (length-prefixed messages, trailers).
// How often: once a gate; small, because thousands of counted calls end here.

import { once } from "node:events";
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

/** What a call looked like when it arrived. */
export interface Arrived {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  /** The host that the call was for, as the service was told. */
  readonly authority: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** One gRPC message, uncompressed. */
export function message(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

export class EchoService {
  calls = 0;
  /** Called for every arrival, for those who keep times. */
  arrived: (headers: IncomingHttpHeaders) => void = () => undefined;
  private readonly sessions = new Set<ServerHttp2Session>();

  private constructor(
    readonly name: string,
    private readonly server: Http2Server,
  ) {
    server.on("session", (session) => {
      this.sessions.add(session);
      session.on("error", () => undefined);
      session.on("close", () => this.sessions.delete(session));
    });
    server.on("stream", (stream, headers) => this.answer(stream, headers));
  }

  static async listen(name = "first"): Promise<EchoService> {
    const server = createServer({ settings: { maxConcurrentStreams: 2_000 } });
    const it = new EchoService(name, server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return it;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get target(): string {
    return `h2c://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    this.calls += 1;
    this.arrived(headers);
    stream.on("error", () => undefined);
    stream.resume();
    stream.on("end", () => {
      if (!stream.destroyed) this.reply(stream, headers);
    });
  }

  private reply(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const body = Buffer.from(JSON.stringify(this.arrival(headers)));
    const own = headers["x-own-limits"] === undefined ? {} : { "x-ratelimit-limit": "99", "x-ratelimit-other": "kept" };
    if (!String(headers["content-type"]).startsWith("application/grpc")) {
      stream.respond({ ":status": 200, "content-type": "application/json", ...own });
      stream.end(body);
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc", ...own }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(message(body));
  }

  private arrival(headers: IncomingHttpHeaders): Arrived {
    const fields = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
    return {
      service: this.name,
      method: headers[":method"] ?? "",
      path: headers[":path"] ?? "",
      authority: headers[":authority"] ?? "",
      fields: Object.fromEntries(fields.map(([name, value]) => [name, String(value)])),
    };
  }
}
