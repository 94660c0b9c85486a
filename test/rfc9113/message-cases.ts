// Responsible for: malformed requests of the conformance suite (section 8, 18 cases).
// Must not know: what is tested. Governed by: RFC 9113, section 8. How often: tests only.

import type { WireClient } from "../support/wire/client.js";
import { Code, data, headers, pushPromise } from "../support/wire/frame.js";
import type { Field } from "../support/wire/hpack.js";
import { blockOf, type Case, fieldsOf, post, section } from "./conformance-case.js";
import { breaks, resets } from "./stream-cases.js";

const malformed = (says: string, send: (c: WireClient) => void) => resets(says, [Code.PROTOCOL_ERROR], send);

/** A request without body, of these fields. */
const of = (says: string, fields: (usual: Field[]) => Field[]) =>
  malformed(says, (c) => c.send(headers(1, c.indexedBlock(...fields(fieldsOf(c))), { end: true })));

const withField = (says: string, name: string, value: string) => of(says, (usual) => [...usual, [name, value]]);

const twice = (name: string) =>
  of(`${name} twice is an error`, (usual) => [...usual, ...usual.filter(([it]) => it === name)]);

const without = (name: string) => of(`no ${name} is an error`, (usual) => usual.filter(([it]) => it !== name));

/** A body, then a second field section that does not end the stream. */
const second = (says: string, field: Field) =>
  malformed(says, (c) => {
    post(c);
    c.send(data(1, "test")).send(headers(1, c.indexedBlock(field)));
  });

const miscounted = (says: string, ...body: string[]) =>
  malformed(says, (c) => {
    post(c, ["content-length", "1"]);
    for (const [at, part] of body.entries()) c.send(data(1, part, { end: at === body.length - 1 }));
  });

export const messageCases: Case[] = [
  ...section("http2", "8.1", second("a second HEADERS without END_STREAM is an error", ["x-test", "ok"])),
  ...section("http2", "8.1.2", withField("a field name in upper case is an error", "X-TEST", "ok")),
  ...section(
    "http2",
    "8.1.2.1",
    withField("an unknown pseudo-header field is an error", ":test", "ok"),
    withField("a pseudo-header field of responses is an error", ":status", "200"),
    second("a pseudo-header field in trailers is an error", [":method", "POST"]),
    of("a pseudo-header field behind others is an error", (usual) => [["x-test", "ok"], ...usual]),
  ),
  ...section(
    "http2",
    "8.1.2.2",
    withField("a connection field is an error", "connection", "keep-alive"),
    of("TE with more than trailers is an error", (usual) => [
      ...usual,
      ["trailers", "test"],
      ["te", "trailers, deflate"],
    ]),
  ),
  ...section(
    "http2",
    "8.1.2.3",
    of("an empty :path is an error", (usual) => usual.map(([name, value]) => [name, name === ":path" ? "" : value])),
    without(":method"),
    without(":scheme"),
    without(":path"),
    twice(":method"),
    twice(":scheme"),
    twice(":path"),
  ),
  ...section(
    "http2",
    "8.1.2.6",
    miscounted("a content-length that the body passes is an error", "test"),
    miscounted("a content-length that a body in parts passes is an error", "test", "test"),
  ),
  ...section(
    "http2",
    "8.2",
    breaks("PUSH_PROMISE from a client is an error", [Code.PROTOCOL_ERROR], (c) =>
      c.send(pushPromise(1, 3, blockOf(c))),
    ),
  ),
];
