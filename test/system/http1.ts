// Responsible for: HTTP/1.1 requests of tests: by node:http, or as bytes on a socket.
// Must not know: what is asked for. How often: tests only.

import { get, request } from "node:http";
import { connect } from "node:net";

export interface Http1Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** Status 0 where nobody answers. */
export function httpGet(port: number, path: string, method = "GET"): Promise<Http1Answer> {
  return new Promise((resolve) => {
    const nobody = (): void => resolve({ status: 0, headers: {}, body: "" });
    const asked = (method === "GET" ? get : request)({ host: "127.0.0.1", port, path, method, agent: false }, (it) => {
      let body = "";
      it.on("data", (bytes) => {
        body += String(bytes);
      });
      it.on("end", () => resolve({ status: it.statusCode ?? 0, headers: it.headers, body }));
      it.on("error", nobody);
    });
    asked.on("error", nobody);
    asked.end();
  });
}

/** Everything that comes back until the other side closes, for pieces that are written in turns of their own. */
export function exchange(port: number, pieces: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let seen = "";
    socket.setNoDelay(true);
    socket.on("data", (bytes) => {
      seen += String(bytes);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(seen));
    socket.on("connect", async () => {
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((next) => setImmediate(next));
      }
    });
  });
}
