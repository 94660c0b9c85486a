// Responsible for: the form of a relay case and the calls that cases share. Must not know: what is tested.
// How often: tests only.

import type { WireClient } from "../support/wire/client.js";
import { grpcRequest } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type DecodedField, type Field } from "../support/wire/hpack.js";
import type { Message } from "../support/wire/peer.js";
import type { ServerOptions, WireServer } from "../support/wire/server.js";

export interface Scene {
  client: WireClient;
  /** Of the gateway, for clients of a test's own. */
  port: number;
  service: WireServer;
  path: string;
}

export interface Relay {
  says: string;
  server?: ServerOptions;
  run: (scene: Scene) => Promise<void>;
}

export const textOf = (fields: DecodedField[], name: string) => fields.find((it) => it.name === name)?.value;
export const statusOf = (it: Message) => textOf([...it.trailers, ...it.fields], "grpc-status");
export const valuesOf = (fields: DecodedField[], name: string) =>
  fields.filter((it) => it.name === name).map((it) => it.value);

/** Begins a gRPC call; `end` with one empty message, else with its body still open. */
export function call({ client, path }: Scene, end = true, ...more: Field[]): number {
  const stream = client.newStream();
  client.send(f.headers(stream, block(...grpcRequest(path), ...more)));
  if (end) client.send(f.data(stream, Buffer.alloc(5), { end: true }));
  return stream;
}
