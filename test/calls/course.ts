// Responsible for: the form of a case about the course of a call: one API of its own, one service led frame by frame.
// Must not know: what is tested. How often: tests only.

import assert from "node:assert/strict";
import { type Relay, type Scene, statusOf, textOf } from "../rfc9113/relay-scene.js";
import { grpcRequest } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";
import type { Message } from "../support/wire/peer.js";
import type { WireRequest } from "../support/wire/server.js";

export interface Case extends Relay {
  /** Laid over the version of the API, whose listen path is that of the case. */
  version?: (path: string) => Record<string, unknown>;
  /** The API's `sluice`. */
  ours?: (path: string) => Record<string, unknown>;
}

export const now = (): number => performance.now();

/** A gRPC message of so many octets, with its prefix. */
export function message(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length, 0x61);
  bytes[0] = 0;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

/** Begins a gRPC call of a method; its body is one empty message unless given. */
export function start(scene: Scene, more: Field[] = [], body: Buffer | null = message(0)): number {
  const stream = scene.client.newStream();
  const frames = [f.headers(stream, block(...grpcRequest(scene.path), ...more))];
  if (body !== null) frames.push(f.data(stream, body, { end: true }));
  scene.client.send(...frames);
  return stream;
}

export const timeout = (value: string): Field[] => [["grpc-timeout", value]];
export const sentTimeout = (it: WireRequest): string => textOf(it.fields, "grpc-timeout") ?? "";

/** Milliseconds that a grpc-timeout of whole milliseconds or seconds stands for. */
export function msOf(value: string): number {
  const found = /^(\d{1,8})([mS])$/.exec(value);
  assert.ok(found, `${value} is not whole milliseconds or seconds`);
  return Number(found[1]) * (found[2] === "S" ? 1_000 : 1);
}

export const trailersOnly = (status: number, ...more: Field[]) => ({
  fields: [["content-type", "application/grpc"], ["grpc-status", String(status)], ...more] as Field[],
});

/** Status and message that a caller is told, which must come as an answer and not as a reset. */
export function toldOf(it: Message): { status: string | undefined; text: string } {
  assert.equal(it.reset, undefined, "an answer, not a reset");
  const text = textOf([...it.trailers, ...it.fields], "grpc-message") ?? "";
  return { status: statusOf(it), text: decodeURIComponent(text) };
}

/** A call that the service answers at once; it proves that nothing else was on the way to it. */
export async function nothingElseCame(scene: Scene): Promise<void> {
  const stream = start(scene, [["x-probe", "1"]]);
  const it = await scene.service.request();
  assert.equal(textOf(it.fields, "x-probe"), "1", "no other request came before this one");
  it.connection.replyGrpc(it.stream);
  assert.equal(statusOf(await scene.client.message(stream)), "0");
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
