/**
 * The scenarios driven by an independent client, `@grpc/grpc-js`, at a low rate: it must see the same statuses as ours. Same order on stdin,
 * same share on stdout. Must not share checking code with our client beyond the expected bytes.
 */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { Ledger } from "./ledger.js";
import { message, PREFIX_BYTES } from "./message.js";
import type { LoadOrder } from "./order.js";
import { takeReply } from "./take.js";
import { keyOfCall, keyToken } from "./token.js";

const order = JSON.parse(readFileSync(0, "utf8")) as LoadOrder;
const ledger = new Ledger();
const AT_ONCE = 8;
/** Calls per second over all lanes, or the order's rate where that is lower: the question is what comes back, not how fast. */
const LOW_RATE = 400;
const DEADLINE_MS = 20_000;
const same = (bytes: Buffer): Buffer => bytes;

/** grpc-js adds and takes off the prefix itself. */
const body = (total: number): Buffer => Buffer.from(message(total).subarray(PREFIX_BYTES));
const method: grpc.MethodDefinition<Buffer, Buffer> = {
  path: order.path,
  requestStream: order.kind === "client" || order.kind === "bidi",
  responseStream: order.kind === "server" || order.kind === "bidi",
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};
const service = grpc.makeGenericClientConstructor({ call: method }, "bench.Load");
const makeClient = (): grpc.Client => {
  const credentials = order.tls
    ? grpc.credentials.createSsl(null, null, null, { rejectUnauthorized: false })
    : grpc.credentials.createInsecure();
  return new service(`127.0.0.1:${order.port}`, credentials, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
  });
};

const stampless = (total: number): Buffer => body(total).subarray(4);
const right = (received: Buffer, total: number): boolean =>
  received.length === total - PREFIX_BYTES &&
  (total <= PREFIX_BYTES + 4 || received.subarray(4).equals(stampless(total)));

interface Running {
  readonly received: Buffer[];
  readonly ended: (error: grpc.ServiceError | null) => void;
}

const judge = (received: readonly Buffer[]): string | null => {
  if (order.kind === "client") {
    const expected = takeReply(order.messages, order.messages * order.requestBytes, 0).subarray(PREFIX_BYTES);
    return received[0]?.equals(expected) === true ? null : "wrong counts";
  }
  const wanted = order.kind === "unary" ? 1 : order.messages;
  if (received.length !== wanted) return `short body: ${received.length} of ${wanted} messages`;
  return received.every((one) => right(one, order.replyBytes)) ? null : "wrong bytes";
};

const request = (index: number): Buffer => {
  const bytes = body(order.requestBytes);
  if (order.kind === "client" && bytes.length >= 4) bytes.writeUInt32BE(index, 0);
  return bytes;
};

const listen = (call: grpc.ClientReadableStream<Buffer>, running: Running, next: () => void): void => {
  call.on("data", (bytes: Buffer) => {
    running.received.push(bytes);
    next();
  });
  call.on("error", (error: grpc.ServiceError) => running.ended(error));
  call.on("end", () => running.ended(null));
};

const streamed = (client: grpc.Client, metadata: grpc.Metadata, options: grpc.CallOptions, running: Running): void => {
  if (order.kind === "client") {
    const call = client.makeClientStreamRequest(method.path, same, same, metadata, options, (error, reply) => {
      if (reply !== undefined) running.received.push(reply);
      running.ended(error);
    });
    for (let i = 0; i < order.messages; i++) call.write(request(i));
    call.end();
    return;
  }
  if (order.kind === "server") {
    listen(client.makeServerStreamRequest(method.path, same, same, request(0), metadata, options), running, () => {});
    return;
  }
  const call = client.makeBidiStreamRequest(method.path, same, same, metadata, options);
  let sent = 0;
  const send = (): void => {
    if (sent++ < order.messages) call.write(request(0));
    else call.end();
  };
  listen(call, running, send);
  send();
};

/** Counted as our own client counts: what was asked about, not the small answer or question beside it. */
const messagesOf = (running: Running): number => (order.kind === "client" ? order.messages : running.received.length);
const bytesOf = (running: Running): number => {
  const received = running.received.reduce((sum, bytes) => sum + bytes.length + PREFIX_BYTES, 0);
  const sent = order.messages * order.requestBytes;
  if (order.kind === "client") return sent;
  return order.kind === "bidi" ? received + sent : received;
};

const metadataOf = (serial: number): grpc.Metadata => {
  const metadata = new grpc.Metadata();
  const hex = serial.toString(16);
  if (order.varying) metadata.set("traceparent", `00-${hex.padStart(32, "0")}-${hex.padStart(16, "0")}-01`);
  const values = order.authorizations ?? [];
  if ((order.keys ?? 0) > 0) metadata.set("authorization", keyToken(keyOfCall(serial, order.keys!)));
  else if (values.length > 0) metadata.set("authorization", values[serial % values.length]!);
  return metadata;
};

const one = (client: grpc.Client, serial: number): Promise<void> =>
  new Promise((resolve) => {
    const started = performance.now();
    const metadata = metadataOf(serial);
    const options: grpc.CallOptions = order.varying ? { deadline: Date.now() + DEADLINE_MS + serial } : {};
    let over = false;
    const running: Running = {
      received: [],
      ended: (error) => {
        if (over) return;
        over = true;
        const reason = error === null ? judge(running.received) : `grpc-status ${error.code} ${error.details}`;
        if (reason === null) ledger.succeeded(started, performance.now(), messagesOf(running), bytesOf(running));
        else ledger.failed(reason);
        resolve();
      },
    };
    if (order.kind !== "unary") return streamed(client, metadata, options, running);
    client.makeUnaryRequest(method.path, same, same, request(0), metadata, options, (error, reply) => {
      if (reply !== undefined) running.received.push(reply);
      running.ended(error);
    });
  });

const lanes = Math.min(order.connections, AT_ONCE);
const interval = (lanes * 1000) / Math.min(LOW_RATE, order.rate > 0 ? order.rate : LOW_RATE);
const began = performance.now();
const end = began + order.seconds * 1000;
let serial = 0;

const lane = async (): Promise<void> => {
  let client = makeClient();
  for (let turn = 0; performance.now() < end && (order.calls === 0 || serial < order.calls); turn++) {
    if (order.reconnect && turn > 0) {
      client.close();
      client = makeClient();
    }
    await one(client, ++serial);
    await pause(Math.max(0, began + (turn + 1) * interval - performance.now()));
  }
  client.close();
};

ledger.begin(began);
await Promise.all(Array.from({ length: lanes }, lane));
process.stdout.write(JSON.stringify(ledger.outcome()), () => process.exit(0));
