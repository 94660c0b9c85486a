/** The values of the gRPC-over-HTTP2 document. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isGrpcContentType } from "../../src/shared/grpc/content-type.js";
import { decodeGrpcMessage, encodeGrpcMessage } from "../../src/shared/grpc/message.js";
import { GrpcStatus, grpcStatusName, grpcStatusOfHttp, parseGrpcStatus } from "../../src/shared/grpc/status.js";
import { formatGrpcTimeout, parseGrpcTimeout, parseGrpcTimeoutOctets } from "../../src/shared/grpc/timeout.js";

test("codes and names are those of the registry", () => {
  assert.equal(GrpcStatus.UNAUTHENTICATED, 16);
  assert.equal(grpcStatusName(0), "OK");
  for (const [name, code] of Object.entries(GrpcStatus)) assert.equal(grpcStatusName(code), name);
  for (const code of [17, -1, 99]) assert.equal(grpcStatusName(code), "UNKNOWN");
});

test("an HTTP answer stands for the status of the document's table", () => {
  const expected = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14, 200: 2, 500: 2, 302: 2 };
  for (const [http, grpc] of Object.entries(expected)) assert.equal(grpcStatusOfHttp(Number(http)), grpc, http);
});

test("grpc-status is one of the registry's numbers or unknown", () => {
  for (let code = 0; code <= 16; code++) assert.equal(parseGrpcStatus(`${code}`), code);
  for (const value of ["", "17", "00", "05", "-1", "1.", "x", "100", " 1"])
    assert.equal(parseGrpcStatus(value), 2, value);
});

test("a message is percent-coded octet by octet and comes back", () => {
  assert.equal(encodeGrpcMessage("all fine, 100%"), "all fine, 100%25");
  assert.equal(encodeGrpcMessage("a\nb\u007f"), "a%0Ab%7F");
  assert.equal(encodeGrpcMessage("\u00e9\u20ac\u{1f600}"), "%C3%A9%E2%82%AC%F0%9F%98%80");
  assert.equal(encodeGrpcMessage("\ud800x"), "%EF%BF%BDx");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 50 }), (text) => {
      const coded = encodeGrpcMessage(text);
      for (const char of coded) assert.ok(char >= " " && char <= "~");
      assert.equal(coded.trim(), coded);
      assert.equal(decodeGrpcMessage(coded), text);
    }),
    { seed: 1 },
  );
});

test("a message is cut between code points, within the limit, and without a blank at its end", () => {
  assert.equal(encodeGrpcMessage("ab\u20ac", 10), "ab");
  assert.equal(encodeGrpcMessage("ab\u20ac", 11), "ab%E2%82%AC");
  assert.equal(encodeGrpcMessage("ab cd", 3), "ab");
  assert.equal(encodeGrpcMessage(" x ", 7), "%20x%20");
  assert.equal(encodeGrpcMessage("  x"), "%20 x");
  assert.equal(encodeGrpcMessage("x  "), "x %20");
  assert.equal(encodeGrpcMessage("abc", 0), "");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(60), (text, limit) => {
      const coded = encodeGrpcMessage(text, limit);
      assert.ok(coded.length <= limit);
      assert.equal(coded.trim(), coded);
      assert.ok(text.startsWith(decodeGrpcMessage(coded)));
    }),
    { seed: 2 },
  );
});

test("a broken escape stands for itself and octets that are no UTF-8 never throw", () => {
  assert.equal(decodeGrpcMessage("100% sure"), "100% sure");
  assert.equal(decodeGrpcMessage("%4"), "%4");
  assert.equal(decodeGrpcMessage("%"), "%");
  assert.equal(decodeGrpcMessage("%zz%41%c3%A9"), "%zzA\u00e9");
  assert.equal(decodeGrpcMessage("%FF"), "\ufffd");
  assert.equal(decodeGrpcMessage("\u00c3\u00a9"), "\u00e9");
});

test("a timeout is read in every unit, rounded up to milliseconds", () => {
  const expected = {
    "1H": 3_600_000,
    "2M": 120_000,
    "3S": 3000,
    "4m": 4,
    "5000u": 5,
    "5001u": 6,
    "1n": 1,
    "0n": 0,
    "99999999H": 99999999 * 3_600_000,
  };
  for (const [value, milliseconds] of Object.entries(expected))
    assert.equal(parseGrpcTimeout(value), milliseconds, value);
  for (const value of ["", "S", "1", "1s", "123456789m", "-1S", "1.5S", " 1S", "1SS", "1h", "1 S"]) {
    assert.equal(parseGrpcTimeout(value), -1, value);
  }
});

test("a timeout is read from octets as it is from text, and no other octets or chars are taken for digits", () => {
  for (const text of [
    "1S",
    "99999999H",
    "100000000S",
    "0m",
    "5u",
    "1n",
    "m",
    "",
    "1",
    "-1S",
    "1 S",
    "1x",
    "123456789u",
    "\u0131S",
  ]) {
    const octets = Buffer.from(text, "latin1");
    const wide = text !== octets.toString("latin1");
    assert.equal(parseGrpcTimeout(text), wide ? -1 : parseGrpcTimeoutOctets(octets, octets.length), text);
  }
  assert.equal(parseGrpcTimeoutOctets(Buffer.from("25m and more"), 3), 25);
  for (let octet = 0; octet < 256; octet++) {
    const text = `${String.fromCharCode(octet)}7m`;
    assert.equal(parseGrpcTimeoutOctets(Buffer.from(text, "latin1"), 3), parseGrpcTimeout(text));
  }
});

test("a timeout is written in the largest exact unit, never in more than eight digits and never longer than meant", () => {
  assert.equal(formatGrpcTimeout(0), "0m");
  assert.equal(formatGrpcTimeout(-5), "0m");
  assert.equal(formatGrpcTimeout(1), "1m");
  assert.equal(formatGrpcTimeout(1500.9), "1500m");
  assert.equal(formatGrpcTimeout(3000), "3S");
  assert.equal(formatGrpcTimeout(120_000), "2M");
  assert.equal(formatGrpcTimeout(7_200_000), "2H");
  assert.equal(formatGrpcTimeout(100_000_001), "100000S");
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e15, noNaN: true }), (milliseconds) => {
      const value = formatGrpcTimeout(milliseconds);
      assert.match(value, /^\d{1,8}[HMSm]$/);
      const back = parseGrpcTimeout(value);
      assert.ok(back <= milliseconds);
      if (milliseconds < 1e8) assert.equal(back, Math.floor(milliseconds));
      else if (milliseconds < 1e11) assert.ok(milliseconds - back < 1000);
    }),
    { seed: 3 },
  );
  assert.equal(formatGrpcTimeout(Number.MAX_SAFE_INTEGER), "99999999H");
});

test("a content-type is gRPC's with or without suffix and parameters, and gRPC-Web is another protocol", () => {
  for (const value of [
    "application/grpc",
    "application/grpc+proto",
    "Application/GRPC",
    "application/grpc;charset=utf-8",
    "application/grpc ; a=b",
    "application/grpc+json;x=y",
  ]) {
    assert.equal(isGrpcContentType(value), true, value);
  }
  for (const value of [
    "",
    "application/grp",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpcx",
    "application/json",
    "text/application/grpc",
    "application/grpc+",
    "application/grpc+;x",
    "application/grpc x",
  ]) {
    assert.equal(isGrpcContentType(value), false, value);
  }
});
