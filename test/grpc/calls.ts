// Responsible for: what every gRPC service must look like through the gateway, as cases for one pair of client and
// service. Must not know: how the service is implemented. Governed by: issue 2, acceptance; the gRPC protocol document.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Metadata, status } from "@grpc/grpc-js";
import { failureOf, type GrpcClient, nextMessage, readAll, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";

/** `direct` calls the same service without a gateway: an oracle where libraries differ in what they show. */
export interface Pair {
  readonly through: GrpcClient;
  readonly direct: GrpcClient;
}

export interface CallCase {
  readonly says: string;
  readonly run: (pair: Pair) => Promise<void>;
}

const MIB = 1 << 20;
let lastId = 0;
const newId = (): string => `${process.pid}-${++lastId}`;

function custom(): Metadata {
  const metadata = new Metadata();
  metadata.add("x-one", "first");
  metadata.add("x-many", "a");
  metadata.add("x-many", "b, c");
  metadata.add("x-many", "a");
  metadata.add("x-empty", "");
  metadata.add("x-bytes-bin", Buffer.from([0, 255, 10, 13, 128]));
  metadata.add("x-bytes-bin", Buffer.alloc(0));
  metadata.add("x-long", "v".repeat(4_000));
  return metadata;
}

const kinds: CallCase[] = [
  {
    says: "a unary call brings its message and status OK",
    run: async ({ through }) => {
      const answer = await through.unary(METHODS.echo, "hello");
      assert.equal(answer.body.toString(), "hello");
      assert.equal(answer.status.code, status.OK);
    },
  },
  {
    says: "an empty message is a message",
    run: async ({ through }) => assert.equal((await through.unary(METHODS.echo, "")).body.length, 0),
  },
  {
    says: "8 MB pass in one message each way",
    run: async ({ through }) => {
      const large = randomBytes(8 * MIB);
      assert.ok((await through.unary(METHODS.echo, large)).body.equals(large));
    },
  },
  {
    says: "a client stream arrives whole",
    run: async ({ through }) => {
      const messages = Array.from({ length: 200 }, (_, at) => Buffer.alloc(at * 37));
      const bytes = messages.reduce((sum, it) => sum + it.length, 0);
      assert.equal((await through.collect(METHODS.collect, messages)).toString(), `200:${bytes}`);
    },
  },
  {
    says: "a client stream without messages is answered",
    run: async ({ through }) => assert.equal((await through.collect(METHODS.collect, [])).toString(), "0:0"),
  },
  {
    says: "a server stream arrives whole and in order",
    run: async ({ through }) => {
      const { messages, status: end } = await through.read(METHODS.give, "500:3000");
      assert.equal(end.code, status.OK);
      assert.deepEqual(
        messages.map((it) => it.readUInt32BE()),
        Array.from({ length: 500 }, (_, at) => at),
      );
      assert.ok(messages.every((it) => it.length === 3_000));
    },
  },
  {
    says: "a server stream without messages ends with OK",
    run: async ({ through }) => {
      const { messages, status: end } = await through.read(METHODS.nothing, "");
      assert.deepEqual([messages.length, end.code], [0, status.OK]);
    },
  },
  {
    says: "ping-pong: each message of a bidirectional stream is answered before the next is sent",
    run: async ({ through }) => {
      const call = through.duplex(METHODS.chat);
      const end = statusOf(call);
      for (let at = 0; at < 20; at++) {
        call.write(Buffer.from(`ping ${at}`));
        assert.equal((await nextMessage(call)).toString(), `ping ${at}`);
      }
      call.end();
      call.resume();
      assert.equal((await end).code, status.OK);
    },
  },
  {
    says: "an empty bidirectional stream ends with OK",
    run: async ({ through }) => {
      const call = through.duplex(METHODS.chat);
      call.end();
      const { messages, status: end } = await readAll(call);
      assert.deepEqual([messages.length, end.code], [0, status.OK]);
    },
  },
  {
    says: "both directions of a stream carry much at once",
    run: async ({ through }) => {
      const call = through.duplex(METHODS.chat);
      const all = readAll(call);
      for (let at = 0; at < 64; at++) call.write(Buffer.alloc(50_000, at));
      call.end();
      const { messages, status: end } = await all;
      assert.equal(end.code, status.OK);
      assert.deepEqual(
        messages.map((it) => [it.length, it[0]]),
        Array.from({ length: 64 }, (_, at) => [50_000, at]),
      );
    },
  },
];

const fields: CallCase[] = [
  {
    says: "custom metadata reaches the service as without a gateway: order, duplicates, binary and empty values",
    run: async ({ through, direct }) => {
      const [seen, expected] = await Promise.all([
        through.unary(METHODS.mirror, "", custom()),
        direct.unary(METHODS.mirror, "", custom()),
      ]);
      const list = JSON.parse(seen.body.toString()) as [string, string][];
      assert.deepEqual(list, JSON.parse(expected.body.toString()));
      assert.ok(list.some(([name, hex]) => name === "x-bytes-bin" && hex === "00ff0a0d80"));
    },
  },
  {
    says: "initial metadata and trailers of the service reach the caller as without a gateway",
    run: async ({ through, direct }) => {
      const [seen, expected] = await Promise.all([
        through.unary(METHODS.mirror, "", custom()),
        direct.unary(METHODS.mirror, "", custom()),
      ]);
      const named = (it: Metadata): unknown =>
        Object.fromEntries(
          ["x-one", "x-many", "x-empty", "x-bytes-bin", "x-long", "y-many", "y-bytes-bin"].map((name) => [
            name,
            it.get(name),
          ]),
        );
      assert.deepEqual(named(seen.initial), named(expected.initial));
      assert.deepEqual(named(seen.status.metadata), named(expected.status.metadata));
      assert.equal(seen.status.metadata.get("y-one")[0], "first");
    },
  },
];

const failures: CallCase[] = [
  ...[1, 2, 3, 5, 7, 8, 9, 10, 13, 14, 15, 16].map(
    (code): CallCase => ({
      says: `status ${code} passes with its message`,
      run: async ({ through }) => {
        const { code: seen, details } = await failureOf(through.unary(METHODS.fail, `${code}:reason ${code}`));
        assert.deepEqual([seen, details], [code, `reason ${code}`]);
      },
    }),
  ),
  {
    says: "a status message of Unicode, percent signs and line ends passes",
    run: async ({ through }) => {
      const message = "Grüße 你好 🚀 100% %41\nnext\tline";
      const { code, details } = await failureOf(through.unary(METHODS.fail, `9:${message}`));
      assert.deepEqual([code, details], [9, message]);
    },
  },
  {
    says: "a status after the first message passes behind the message",
    run: async ({ through }) => {
      const { messages, status: end } = await through.read(METHODS.failLate, "8:too much ☃");
      assert.deepEqual([messages.length, end.code, end.details], [1, 8, "too much ☃"]);
    },
  },
  {
    says: "a method the service does not know is UNIMPLEMENTED",
    run: async ({ through }) => {
      const missing = { name: "Missing", requestStream: false, responseStream: false };
      assert.equal((await failureOf(through.unary(missing, ""))).code, status.UNIMPLEMENTED);
    },
  },
];

const endings: CallCase[] = [
  {
    says: "the service sees a cancel right after the beginning",
    run: async ({ through }) => {
      const id = newId();
      const call = through.reading(METHODS.hold, id);
      const end = statusOf(call);
      await new Promise((resolve) => call.on("metadata", resolve));
      call.cancel();
      assert.equal((await end).code, status.CANCELLED);
      await through.unary(METHODS.watch, id);
    },
  },
  {
    says: "the service sees a cancel after the first response",
    run: async ({ through }) => {
      const id = newId();
      const call = through.reading(METHODS.hold, `${id}:first`);
      const end = statusOf(call);
      assert.equal((await nextMessage(call)).toString(), "first");
      call.cancel();
      assert.equal((await end).code, status.CANCELLED);
      await through.unary(METHODS.watch, id);
    },
  },
  {
    says: "a deadline that passes ends the call on both sides",
    run: async ({ through }) => {
      const id = newId();
      const call = through.reading(METHODS.hold, `${id}:first`, { deadline: Date.now() + 500 });
      const end = statusOf(call);
      call.resume();
      assert.equal((await end).code, status.DEADLINE_EXCEEDED);
      await through.unary(METHODS.watch, id);
    },
  },
  {
    says: "the next call after a cancelled one is served",
    run: async ({ through }) => assert.equal((await through.unary(METHODS.echo, "on")).body.toString(), "on"),
  },
];

export const callCases: CallCase[] = [...kinds, ...fields, ...failures, ...endings];
