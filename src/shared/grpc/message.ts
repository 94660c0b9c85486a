/**
 * The percent coding of grpc-message: UTF-8, where every octet outside of 0x20 to 0x7E and "%" itself is written as
 * three. Governed by the gRPC-over-HTTP2 document. Runs once per answer with a message.
 */

const HEX = "0123456789ABCDEF";
const utf8 = new TextDecoder("utf-8");

function isPlain(octet: number): boolean {
  return octet >= 0x20 && octet <= 0x7e && octet !== 0x25;
}

/**
 * The coded form, cut after the last code point that fits into `limit` octets. A blank at either end is coded too: a
 * field value must not begin or end with one (RFC 9113 8.2.1). A lone surrogate reads as U+FFFD.
 */
export function encodeGrpcMessage(message: string, limit = 4096): string {
  let out = "";
  for (let at = 0; at < message.length; ) {
    const point = message.codePointAt(at)!;
    const first = at === 0;
    at += point > 0xffff ? 2 : 1;
    const atEnd = first || at === message.length;
    const piece = point === 0x20 && atEnd ? percent(point) : coded(isSurrogate(point) ? 0xfffd : point);
    if (out.length + piece.length > limit) return out.trimEnd();
    out += piece;
  }
  return out;
}

function isSurrogate(point: number): boolean {
  return point >= 0xd800 && point <= 0xdfff;
}

function coded(point: number): string {
  if (point < 0x80) return isPlain(point) ? String.fromCharCode(point) : percent(point);
  if (point < 0x800) return percent(0xc0 | (point >> 6)) + tail(point, 0);
  if (point < 0x10000) return percent(0xe0 | (point >> 12)) + tail(point, 6) + tail(point, 0);
  return percent(0xf0 | (point >> 18)) + tail(point, 12) + tail(point, 6) + tail(point, 0);
}

function tail(point: number, shift: number): string {
  return percent(0x80 | ((point >> shift) & 0x3f));
}

function percent(octet: number): string {
  return `%${HEX[octet >> 4]!}${HEX[octet & 15]!}`;
}

/** What a coded message says. A broken escape stands for itself; octets that are no UTF-8 read as U+FFFD. */
export function decodeGrpcMessage(value: string): string {
  if (!value.includes("%") && isAscii(value)) return value;
  const octets = new Uint8Array(value.length);
  let length = 0;
  for (let at = 0; at < value.length; at++) {
    const octet = value.charCodeAt(at);
    const high = octet === 0x25 ? hexDigit(value.charCodeAt(at + 1)) : -1;
    const low = high < 0 ? -1 : hexDigit(value.charCodeAt(at + 2));
    if (low < 0) {
      octets[length++] = octet;
    } else {
      octets[length++] = (high << 4) | low;
      at += 2;
    }
  }
  return utf8.decode(octets.subarray(0, length));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function hexDigit(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const lower = octet | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
