// Responsible for: the life of a stream over the whole product of states and events: the table against the RFC's own
// words, and the engine against the table. Governed by: RFC 9113, 5.1.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { resetStream } from "../../src/shared/http2/send-control.js";
import { sendEnd } from "../../src/shared/http2/send-data.js";
import { Event, nextState, REFUSED, State } from "../../src/shared/http2/stream-state.js";
import { codeOf, data, headers, reset, Type } from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { Side } from "./fixture.js";

const states = Object.entries(State);
const events = Object.entries(Event);

/** RFC 9113, 5.1 with two bits instead of a table: which side may still send. */
function oracle(state: number, event: number): number {
  const sends = event >= Event.SEND_HEADERS;
  const kind = sends ? event - Event.SEND_HEADERS : event;
  const [HEADERS, END, , RESET] = [0, 1, 2, 3];
  if (state === State.CLOSED) return REFUSED;
  if (state === State.IDLE) {
    // "Sending or receiving a HEADERS frame"; RST_STREAM refuses a request without making a stream of it.
    if (kind === HEADERS) return State.OPEN;
    return sends && kind === RESET ? State.CLOSED : REFUSED;
  }
  if (kind === RESET) return State.CLOSED;
  const open = { local: state !== State.HALF_CLOSED_LOCAL, remote: state !== State.HALF_CLOSED_REMOTE };
  if (sends ? !open.local : !open.remote) return REFUSED;
  if (kind !== END) return state;
  if (sends) open.local = false;
  else open.remote = false;
  if (!open.local && !open.remote) return State.CLOSED;
  return open.local ? State.HALF_CLOSED_REMOTE : State.HALF_CLOSED_LOCAL;
}

describe("the table of stream states", () => {
  for (const [stateName, state] of states) {
    for (const [eventName, event] of events) {
      test(`${stateName} × ${eventName}`, () => assert.equal(nextState(state, event), oracle(state, event)));
    }
  }
});

const ID = 1;

/** A server connection whose stream 1 is in the state; CLOSED by both ends. */
function inState(state: number): Side {
  const side = new Side(true).greet();
  if (state === State.IDLE) return side;
  const stream = side.request(ID);
  side.respond(stream);
  if (state === State.HALF_CLOSED_LOCAL || state === State.CLOSED) sendEnd(stream);
  if (state === State.HALF_CLOSED_REMOTE || state === State.CLOSED) side.feed(data(ID, "", { end: true }));
  side.sent();
  side.events.log.length = 0;
  return side;
}

/** What the peer does for an event; HEADERS of a stream that is open are trailers, which end it. */
const received: Record<number, (side: Side, state: number) => void> = {
  [Event.RECEIVE_HEADERS]: (side, state) => {
    const request = block([":method", "POST"], [":scheme", "http"], [":path", "/"]);
    side.feed(state === State.IDLE ? headers(ID, request) : headers(ID, block(["a", "b"]), { end: true }));
  },
  [Event.RECEIVE_END]: (side) => side.feed(data(ID, "", { end: true })),
  [Event.RECEIVE_DATA]: (side) => side.feed(data(ID, "some data")),
  [Event.RECEIVE_RESET]: (side) => side.feed(reset(ID, 8)),
  [Event.SEND_END]: (side) => {
    const stream = side.connection.streams.get(ID);
    if (stream !== null) sendEnd(stream);
  },
  [Event.SEND_RESET]: (side) => {
    const stream = side.connection.streams.get(ID);
    if (stream !== null) resetStream(stream, 8);
  },
};

function stateOf(side: Side): number {
  const stream = side.connection.streams.get(ID);
  if (stream !== null) return stream.state;
  return side.connection.lastPeerStream >= ID ? State.CLOSED : State.IDLE;
}

describe("a stream of the engine lives as the table says", () => {
  for (const [stateName, state] of states) {
    for (const [eventName, event] of events) {
      const cause = received[event];
      const ours = event >= Event.SEND_HEADERS;
      if (cause === undefined || (ours && nextState(state, event) === REFUSED) || (ours && state === State.IDLE))
        continue;
      // Trailers carry END_STREAM: HEADERS without it are a fault of their own (RFC 9113, 8.1).
      const trailers = event === Event.RECEIVE_HEADERS && state !== State.IDLE;
      const expected = nextState(state, trailers ? Event.RECEIVE_END : event);
      const outcome = expected === REFUSED ? "is refused" : `becomes ${states[expected]?.[0]}`;
      test(`${stateName} × ${eventName} ${outcome}`, () => {
        const side = inState(state);
        cause(side, state);
        if (expected !== REFUSED) {
          assert.equal(stateOf(side), expected);
          assert.deepEqual(side.faults, []);
          return;
        }
        // A frame that crosses the end of its stream may be ignored, where the RFC allows it: RST_STREAM.
        if (state === State.CLOSED && event === Event.RECEIVE_RESET) return assert.deepEqual(side.said(), []);
        const [refusal] = side.sent();
        assert.ok(refusal?.type === Type.GOAWAY || refusal?.type === Type.RST_STREAM);
        assert.equal(codeOf(refusal), state === State.IDLE ? 1 : 5, "PROTOCOL_ERROR for idle, STREAM_CLOSED after");
        assert.notEqual(stateOf(side), State.OPEN);
      });
    }
  }
});
