// Responsible for: calls of any path with any fields, through @grpc/grpc-js and as plain HTTP, as values.
// Must not know: what stands between it and the service (echo.ts). How often: tests only.

import { type ClientHttp2Session, connect } from "node:http2";
import { Client, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import type { Arrived } from "./echo.js";

export type Fields = Readonly<Record<string, string>>;

export interface Seen {
  /** The gRPC status code. */
  readonly code: number;
  readonly message: string;
  /** Initial and trailing metadata in one. */
  readonly fields: Fields;
  /** What the service says it saw, where the call reached it. */
  readonly arrived: Arrived | undefined;
}

export interface HttpSeen {
  readonly status: number;
  readonly fields: Fields;
  readonly body: string;
}

const same = (bytes: Buffer): Buffer => bytes;

export class Caller {
  private readonly client: Client;
  private session: ClientHttp2Session | undefined;

  constructor(private readonly port: number) {
    this.client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.min_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
    });
  }

  /** A unary call; never rejects. */
  call(path: string, fields: Fields = {}): Promise<Seen> {
    return new Promise((resolve) => {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
      let body: Buffer | undefined;
      let initial: Metadata | undefined;
      const deadline = Date.now() + 60_000;
      const call = this.client.makeUnaryRequest<Buffer, Buffer>(
        path,
        same,
        same,
        Buffer.alloc(0),
        metadata,
        { deadline },
        (_error, reply) => {
          body = reply;
        },
      );
      call.on("metadata", (it: Metadata) => {
        initial = it;
      });
      call.on("status", (it: StatusObject) => {
        const text = (them: Metadata | undefined): Fields =>
          Object.fromEntries(Object.entries(them?.getMap() ?? {}).map(([name, value]) => [name, String(value)]));
        resolve({
          code: it.code,
          message: it.details,
          fields: { ...text(initial), ...text(it.metadata) },
          arrived: body === undefined ? undefined : (JSON.parse(body.toString()) as Arrived),
        });
      });
    });
  }

  /** Status code only, for counting. */
  async code(path: string, fields: Fields = {}): Promise<number> {
    return (await this.call(path, fields)).code;
  }

  /** A caller that speaks no gRPC, over HTTP/2. */
  http(path: string, fields: Fields = {}): Promise<HttpSeen> {
    return new Promise((resolve, reject) => {
      if (this.session === undefined || this.session.destroyed) {
        this.session = connect(`http://127.0.0.1:${this.port}`);
        this.session.on("error", () => undefined);
      }
      const stream = this.session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/json",
        ...fields,
      });
      const seen: Record<string, string> = {};
      let status = 0;
      let body = "";
      stream.setEncoding("utf8");
      stream.on("response", (headers) => {
        status = Number(headers[":status"]);
        for (const [name, value] of Object.entries(headers)) if (!name.startsWith(":")) seen[name] = String(value);
      });
      stream.on("data", (text: string) => {
        body += text;
      });
      stream.on("error", reject);
      stream.on("close", () => resolve({ status, fields: seen, body }));
      stream.end();
    });
  }

  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    this.client.close();
    this.session?.destroy();
  }
}

/** `user:password` as basic authentication writes it. */
export const basic = (text: string): Fields => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });

export const token = (text: string): Fields => ({ authorization: text });
