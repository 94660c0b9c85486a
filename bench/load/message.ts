/**
 * What travels: gRPC messages of a known size whose bytes can be computed again on the other side. Must not know HTTP/2.
 * Governed by the gRPC wire format: one flag byte, four length bytes, then the message. Built once per size.
 */

export const PREFIX_BYTES = 5;
const cached = new Map<number, Buffer>();

/** A whole length-prefixed message of `total` bytes; the pattern has a prime period, so a shifted or missing part shows. */
export const message = (total: number): Buffer => {
  const known = cached.get(total);
  if (known !== undefined) return known;
  const bytes = Buffer.allocUnsafe(total);
  for (let i = 0; i < total; i++) bytes[i] = (i % 251) ^ 0x5a;
  bytes[0] = 0;
  bytes.writeUInt32BE(Math.max(0, total - PREFIX_BYTES), 1);
  cached.set(total, bytes);
  return bytes;
};

/** The service's methods, spelled as paths; a static file server can hold a `Give` as a file of that name. */
export const ECHO_PATH = "/bench.Load/Echo";
export const TAKE_PATH = "/bench.Load/Take";
export const givePath = (messages: number, total: number): string => `/bench.Load/Give/${messages}/${total}`;
