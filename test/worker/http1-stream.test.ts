// Responsible for: what node:http may expect of a caller's socket that is read through our own buffers.
// Must not know: what is answered. One server that never listens, as in a worker.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createListener, type Socket } from "node:net";
import { test } from "node:test";
import { Http1Stream } from "../../src/worker/downstream/http1-stream.js";

test("a connection on which nothing passes is closed, after an answer and in the middle of a request", async (context) => {
  const server = createServer({ keepAliveTimeout: 30 }, (_request, response) => response.end("answer"));
  server.timeout = 60;
  const listener = createListener((socket: Socket) => {
    const stream = new Http1Stream(socket);
    socket.on("data", (bytes) => void stream.feed(bytes));
    socket.on("close", () => stream.gone(null));
    server.emit("connection", stream);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  context.after(() => listener.close());
  for (const [text, answer] of [
    ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1\.1 200 /],
    ["GET / HTTP/1.1\r\nho", /^$/],
  ] as const) {
    const caller = connect((listener.address() as AddressInfo).port, "127.0.0.1");
    context.after(() => caller.destroy());
    let seen = "";
    caller.on("data", (bytes) => {
      seen += String(bytes);
    });
    caller.write(text);
    await once(caller, "close");
    assert.match(seen, answer);
  }
});
