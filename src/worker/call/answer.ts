// Puts answers of the gateway itself on the wire: trailers-only for gRPC callers, Tyk's status and body for others.
// Governed by the gRPC protocol document (Responses) and spec 6.2. Runs once per answered call.

import { ReadBlock } from "../../shared/base/read-block.js";
import { encodeGrpcMessage } from "../../shared/grpc/message.js";
import type { Field, FieldStore } from "../../shared/http2/hpack/field.js";
import { Flag } from "../../shared/http2/protocol.js";
import { sendData } from "../../shared/http2/send-data.js";
import { sendHeaderBlock } from "../../shared/http2/send-headers.js";
import type { Stream } from "../../shared/http2/stream.js";
import type { Answer } from "./answers.js";

/** Callers limit their header lists to 8 KiB and less: our own text never is what breaks a call. */
const MESSAGE_LIMIT = 1_024;

export function grpcStatusFields(store: FieldStore, status: number, message: string): Field[] {
  return [
    store.field("grpc-status", String(status)),
    store.field("grpc-message", encodeGrpcMessage(message, MESSAGE_LIMIT)),
  ];
}

function sendFields(stream: Stream, fields: readonly Field[], ends: boolean): void {
  const { encoder } = stream.connection;
  const length = encoder.encode(fields, fields.length);
  sendHeaderBlock(stream, encoder.out, length, ends);
}

/** The whole answer, on a stream on which nothing was sent yet. */
export function sendAnswer(stream: Stream, answer: Answer, grpc: boolean, head: boolean, generator: boolean): void {
  const store = stream.connection.shared.fields;
  if (grpc) {
    sendFields(stream, trailersOnly(store, answer), true);
    return;
  }
  const body = answer.plain ? answer.message : `${JSON.stringify({ error: answer.message }, null, 4)}\n`;
  const type = answer.plain ? "text/plain" : "application/json";
  sendText(stream, answer.http, type, body, head, generator, moreFields(store, answer));
}

/** Answers that are the same for every call are made once; a worker has one store of fields. */
const KNOWN = new WeakMap<Answer, { readonly store: FieldStore | null; readonly fields: readonly Field[] }>();

/** This very answer is given again and again. */
export function repeats(answer: Answer): void {
  KNOWN.set(answer, { store: null, fields: [] });
}

function trailersOnly(store: FieldStore, answer: Answer): readonly Field[] {
  const known = KNOWN.get(answer);
  if (known !== undefined && known.store === store) return known.fields;
  const fields = [
    store.field(":status", "200"),
    store.field("content-type", "application/grpc"),
    ...grpcStatusFields(store, answer.grpc, answer.message),
    ...moreFields(store, answer),
  ];
  if (known !== undefined || answer.fields === undefined) KNOWN.set(answer, { store, fields });
  return fields;
}

function moreFields(store: FieldStore, answer: Answer): Field[] {
  return Object.entries(answer.fields ?? {}).map(([name, value]) => store.field(name, value));
}

export function sendText(
  stream: Stream,
  status: number,
  type: string,
  text: string,
  head: boolean,
  generator: boolean,
  more: readonly Field[] = [],
): void {
  const store = stream.connection.shared.fields;
  const body = Buffer.from(text, "utf8");
  const fields = [
    store.field(":status", String(status)),
    store.field("content-type", type),
    store.field("content-length", String(body.length)),
  ];
  if (generator) fields.push(store.field("x-generator", "sluice"));
  fields.push(...more);
  sendFields(stream, fields, head);
  if (!head) sendData(stream, null, new ReadBlock(body, null), -1, 0, body.length, Flag.END_STREAM);
}

/** Ends a call whose response has begun, between two messages. */
export function sendStatusTrailers(stream: Stream, answer: Answer): void {
  const send = (): void =>
    sendFields(stream, grpcStatusFields(stream.connection.shared.fields, answer.grpc, answer.message), true);
  if (stream.queue === null) send();
  else stream.queue.trailers = send;
}
