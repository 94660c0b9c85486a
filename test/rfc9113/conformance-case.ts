// Responsible for: the form of a conformance case, and the requests that cases share.
// Must not know: what is tested. How often: tests only.

import type { Target, WireClient } from "../support/wire/client.js";
import { headers } from "../support/wire/frame.js";
import type { Field } from "../support/wire/hpack.js";

export interface Scene {
  client: WireClient;
  target: Target;
  /** Bytes of the body that the target answers `GET /` with. */
  bodyLength: number;
}

export interface Case {
  /** Group, section and number under which public conformance suites know it. */
  id: string;
  says: string;
  /** True: the case sends its own preface. */
  raw?: boolean;
  run: (client: WireClient, scene: Scene) => Promise<void>;
}

/** Numbers cases within their section. */
export function section(group: string, name: string, ...cases: Omit<Case, "id">[]): Case[] {
  return cases.map((it, at) => ({ id: `${group}/${name}/${at + 1}`, ...it }));
}

export function fieldsOf(client: WireClient, method = "GET"): Field[] {
  const authority = `${client.socket.remoteAddress}:${client.socket.remotePort}`;
  return [
    [":method", method],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", authority],
  ];
}

/** Block of an ordinary request, with more fields behind it. */
export const blockOf = (client: WireClient, method = "GET", ...more: Field[]): Buffer =>
  client.indexedBlock(...fieldsOf(client, method), ...more);

/** A long field of which five do not fit one frame. */
export const longField = (at = 0): Field => [`x-long-${at}`, "x".repeat(4000)];

/** A whole request in one HEADERS frame. */
export const get = (client: WireClient, stream = 1): void =>
  void client.send(headers(stream, blockOf(client), { end: true }));

/** A request whose body is still to come. */
export const post = (client: WireClient, ...more: Field[]): void =>
  void client.send(headers(1, blockOf(client, "POST", ...more)));
