// Tells from its first octets what a caller speaks. HTTP/1.1 is told by its methods; everything that is not HTTP/1.1 is
// treated as HTTP/2, whose preface check gives the right error. Runs once per connection.

import { PREFACE } from "../../shared/http2/protocol.js";

export const Speech = { UNKNOWN: 0, HTTP2: 1, HTTP1: 2 } as const;

const METHODS = ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT "];

export function speechOf(seen: Buffer): number {
  const text = seen.toString("latin1", 0, 8);
  for (const method of METHODS) {
    if (text.startsWith(method)) return Speech.HTTP1;
    if (method.startsWith(text)) return Speech.UNKNOWN;
  }
  if (seen.length < 4 && PREFACE.subarray(0, seen.length).equals(seen)) return Speech.UNKNOWN;
  return Speech.HTTP2;
}
