// Responsible for: what a conformance suite accepts as right behaviour: these rules decide, not what we would like best.
// Must not know: cases. Governed by: RFC 9113, 5.4: an endpoint may widen a stream error to the connection, and may
// close without a GOAWAY that arrives. A torn connection (RST) is never accepted: it may lose the GOAWAY before it.

import { Code, codeName, codeOf, Flag, Type } from "./frame.js";
import type { Ending, Received } from "./inbox.js";
import type { WirePeer } from "./peer.js";

type Judge = (it: Received | "end") => boolean;

/** Reads on until the judge is content; other frames are passed over. */
async function until(peer: WirePeer, what: string, judge: Judge): Promise<Received | "end"> {
  for (;;) {
    const it: Received | Ending | "silence" = await peer.next();
    if (it === "torn" || it === "silence") throw peer.failure(`expected ${what}, met ${it}`);
    const seen = it === "cut" ? "end" : it;
    if (judge(seen)) return seen;
    if (seen === "end") throw peer.failure(`expected ${what}, but the connection ended`);
  }
}

const names = (codes: number[]): string => codes.map(codeName).join(" or ");
const isCoded = (it: Received, type: number, codes: number[]) => it.type === type && codes.includes(codeOf(it));

/** GOAWAY with one of the codes, or the connection ends. */
export async function connectionError(peer: WirePeer, ...codes: number[]): Promise<void> {
  const judge: Judge = (it) => it === "end" || isCoded(it, Type.GOAWAY, codes);
  await until(peer, `connection error ${names(codes)}`, judge);
}

/** RST_STREAM or GOAWAY with one of the codes, or the connection ends. */
export async function streamError(peer: WirePeer, ...codes: number[]): Promise<void> {
  const judge: Judge = (it) => it === "end" || isCoded(it, Type.GOAWAY, codes) || isCoded(it, Type.RST_STREAM, codes);
  await until(peer, `stream error ${names(codes)}`, judge);
}

export async function connectionEnd(peer: WirePeer): Promise<void> {
  await until(peer, "the end of the connection", (it) => it === "end");
}

/** END_STREAM, or RST_STREAM(NO_ERROR). */
export async function streamEnd(peer: WirePeer): Promise<void> {
  const ended = (it: Received) => it.type < 2 && (it.flags & Flag.END_STREAM) !== 0;
  await until(peer, "the end of the stream", (it) => it !== "end" && (ended(it) || isCoded(it, Type.RST_STREAM, [0])));
}

/** The first frame of this type since the last look. */
export async function firstOf(peer: WirePeer, type: number, what: string): Promise<Received> {
  const it = await until(peer, what, (frame) => frame !== "end" && frame.type === type);
  if (it === "end") throw peer.failure(`expected ${what}`);
  return it;
}

export async function headersOn(peer: WirePeer, stream: number): Promise<void> {
  const it = await firstOf(peer, Type.HEADERS, `HEADERS on stream ${stream}`);
  if (it.stream !== stream) throw peer.failure(`HEADERS came on stream ${it.stream}`);
}

export async function settingsAcked(peer: WirePeer): Promise<void> {
  const it = await firstOf(peer, Type.SETTINGS, "the ACK of SETTINGS");
  if (!(it.flags & Flag.ACK)) throw peer.failure("SETTINGS came without ACK");
}

/** The first PING is our own, acknowledged: a peer that probes with PINGs of its own at this point would fail. */
export async function pingAcked(peer: WirePeer, payload: string): Promise<void> {
  const it = await firstOf(peer, Type.PING, "the ACK of PING");
  const same = it.payload.toString("latin1") === payload;
  if (!(it.flags & Flag.ACK) || !same) throw peer.failure("the PING that came is not the ACK of ours");
}

export async function pingAckedOrEnd(peer: WirePeer, payload: string): Promise<void> {
  const isAck = (it: Received) => it.type === Type.PING && it.payload.toString("latin1") === payload;
  await until(peer, "the ACK of PING, or the end", (it) => it === "end" || (isAck(it) && (it.flags & Flag.ACK) !== 0));
}

/** The next DATA frame carries exactly this many bytes. */
export async function dataOf(peer: WirePeer, length: number): Promise<void> {
  const it = await firstOf(peer, Type.DATA, `DATA of ${length} bytes`);
  if (it.payload.length !== length) throw peer.failure(`DATA came with ${it.payload.length} bytes`);
}

export const anyDataFrame = (peer: WirePeer) => firstOf(peer, Type.DATA, "DATA");

export async function goawayWith(peer: WirePeer, code: number): Promise<void> {
  const it = await firstOf(peer, Type.GOAWAY, `GOAWAY(${codeName(code)})`);
  if (codeOf(it) !== code) throw peer.failure(`GOAWAY came with ${codeName(codeOf(it))}`);
}

export async function resetWith(peer: WirePeer, stream: number, code: number = Code.PROTOCOL_ERROR): Promise<void> {
  const it = await firstOf(peer, Type.RST_STREAM, `RST_STREAM(${codeName(code)})`);
  if (it.stream !== stream || codeOf(it) !== code) throw peer.failure(`RST_STREAM came with ${codeName(codeOf(it))}`);
}
