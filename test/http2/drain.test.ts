// Responsible for: ending a connection in two phases, and GOAWAY from the other side.
// Governed by: RFC 9113, 6.8; issue 2, section 8.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openRoom, openStream } from "../../src/shared/http2/open-stream.js";
import { endAdmission, startDrain } from "../../src/shared/http2/send-control.js";
import { sendEnd } from "../../src/shared/http2/send-data.js";
import { data, goaway, ping, settings } from "../support/wire/frame.js";
import { Side } from "./fixture.js";

describe("a drain", () => {
  test("begins with GOAWAY that names no stream, and a PING; the answer to a second one brings the last stream's number", () => {
    const side = new Side(true).greet();
    side.request(1);
    side.request(3);
    startDrain(side.connection);
    const [first, question] = side.sent();
    assert.equal(first?.payload.readUInt32BE(0), 0x7fffffff);
    side.feed(ping(question!.payload, true));
    // Begun before the GOAWAY was read, written after the PING was answered.
    side.request(5);
    const [again] = side.sent();
    side.feed(ping(again!.payload, true));
    const [last] = side.sent();
    assert.equal(last?.payload.readUInt32BE(0), 5);
  });

  test("is not ended by the answer to another PING", () => {
    const side = new Side(true).greet();
    startDrain(side.connection);
    side.sent();
    side.feed(ping("\u0001\0\0\0\0\0\0\0", true));
    assert.deepEqual(side.said(), []);
  });

  test("processes no stream above the last one it named, and says nothing about them", () => {
    const side = new Side(true).greet();
    const stream = side.request(1);
    startDrain(side.connection);
    endAdmission(side.connection);
    side.sent();
    side.events.log.length = 0;
    assert.equal(side.request(3), null);
    side.feed(data(3, "of no interest"));
    assert.deepEqual(side.events.log, []);
    assert.deepEqual(side.said(), []);
    side.respond(stream);
    sendEnd(stream);
    assert.equal(side.sent().length, 2);
  });

  test("begins once and ends once", () => {
    const side = new Side(true).greet();
    startDrain(side.connection);
    startDrain(side.connection);
    endAdmission(side.connection);
    endAdmission(side.connection);
    assert.equal(side.said().filter((it) => it.startsWith("GOAWAY")).length, 2);
  });
});

describe("GOAWAY of the other side", () => {
  test("closes the connection to new streams; the second may only name a lower one", () => {
    const side = new Side(false).greet();
    openStream(side.connection);
    assert.ok(openRoom(side.connection) > 0);
    side.feed(goaway(0x7fffffff, 0));
    assert.equal(openRoom(side.connection), 0);
    side.feed(goaway(1, 0));
    assert.deepEqual(side.faults, []);
    side.feed(goaway(3, 0));
    assert.equal(side.faults.length, 1);
  });
});

describe("room for new streams", () => {
  test("is what the other side allows and we do, less those that are open", () => {
    const side = new Side(false, { maxConcurrentStreams: 50 }).greet([3, 10]);
    assert.equal(openRoom(side.connection), 10);
    for (let at = 0; at < 10; at++) openStream(side.connection);
    assert.equal(openRoom(side.connection), 0);
    side.feed(settings([3, 4]));
    assert.equal(openRoom(side.connection), -6);
    side.feed(settings([3, 1_000]));
    assert.equal(openRoom(side.connection), 40);
  });

  test("ends when the numbers of streams are used up", () => {
    const side = new Side(false).greet();
    side.connection.nextStream = 0x7fffffff;
    assert.equal(openRoom(side.connection), 0);
  });
});
