// Responsible for: calls over TLS with and without a certificate of one's own, by gRPC and by plain HTTP/2, as values.
// Must not know: what is tested. How often: tests only. Each caller has one connection for each of the two.

import { type ClientHttp2Session, connect } from "node:http2";
import { Client, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import type { Made } from "./certificates.js";

export type Own = Pick<Made, "cert" | "key">;

export interface Told {
  /** The gRPC status code. */
  readonly code: number;
  readonly message: string;
}

export interface ToldHttp {
  /** Of HTTP; 0 when there was no answer. */
  readonly status: number;
  /** What was sent, or what ended the connection instead. */
  readonly body: string;
}

const same = (bytes: Buffer): Buffer => bytes;
const DEADLINE_MS = 20_000;

export class TlsCaller {
  readonly #client: Client;
  readonly #port: number;
  readonly #name: string;
  readonly #own: Own | undefined;
  #session: ClientHttp2Session | undefined;

  /** @param name asked for in the handshake and as the authority */
  constructor(port: number, trusted: string, own?: Own, name = "localhost") {
    this.#port = port;
    this.#name = name;
    this.#own = own;
    const [key, cert] = own === undefined ? [null, null] : [Buffer.from(own.key), Buffer.from(own.cert)];
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(trusted), key, cert), {
      "grpc.ssl_target_name_override": name,
      "grpc.default_authority": name,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
    });
  }

  call(path: string, authorization = ""): Promise<Told> {
    return new Promise((resolve) => {
      const metadata = new Metadata();
      if (authorization !== "") metadata.set("authorization", authorization);
      const options = { deadline: Date.now() + DEADLINE_MS };
      const call = this.#client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, options, () => undefined);
      call.on("status", ({ code, details }: StatusObject) => resolve({ code, message: details }));
    });
  }

  http(path: string, authorization = ""): Promise<ToldHttp> {
    return new Promise((resolve) => {
      if (this.#session === undefined || this.#session.destroyed || this.#session.closed) {
        this.#session = connect(`https://127.0.0.1:${this.#port}`, {
          rejectUnauthorized: false,
          servername: this.#name,
          ...this.#own,
        });
        this.#session.on("error", () => undefined);
      }
      const stream = this.#session.request({
        ":method": "POST",
        ":path": path,
        ":authority": this.#name,
        "content-type": "application/json",
        ...(authorization === "" ? {} : { authorization }),
      });
      let status = 0;
      let body = "";
      let reason = "";
      stream.setEncoding("utf8");
      stream.on("response", (headers) => {
        status = Number(headers[":status"]);
      });
      stream.on("data", (text: string) => {
        body += text;
      });
      stream.on("error", (error) => {
        reason = error.message;
      });
      stream.on("close", () => resolve({ status, body: body || reason }));
      stream.end();
    });
  }

  close(): void {
    this.#client.close();
    this.#session?.destroy();
  }
}
