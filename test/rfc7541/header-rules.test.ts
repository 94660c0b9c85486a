/** RFC 9113 section 8: what is a well-formed request, response and trailer section. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkRequest,
  checkResponse,
  checkTrailers,
  HeaderFault,
  headerFaults,
} from "../../src/shared/http2/header-rules.js";
import { FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";

const store = new FieldStore();

/** A list of lines "name: value"; the value may be missing. */
function listOf(...lines: string[]): FieldList {
  const list = new FieldList();
  for (const line of lines) {
    const cut = line.indexOf(": ", 1);
    list.push(cut < 0 ? store.field(line, "") : store.field(line.slice(0, cut), line.slice(cut + 2)));
  }
  return list;
}

const pseudo = [":method: POST", ":scheme: http", ":path: /s/m", ":authority: a.test"];
const provoked = new Set<number>();

type Check = (list: FieldList) => number;

function refuses(check: Check, fault: number, why: string, ...lines: string[]): void {
  test(`${why}: ${headerFaults[fault]!.sentence}`, () => {
    provoked.add(fault);
    assert.equal(check(listOf(...lines)), fault);
  });
}

test("a gRPC request is well-formed and its fields are found", () => {
  const list = listOf(
    ...pseudo,
    "te: trailers",
    "content-type: application/grpc",
    "grpc-timeout: 1S",
    "content-length: 12",
    "host: a.test",
    "expect: 100-continue",
  );
  assert.equal(checkRequest(list), 0);
  assert.equal(list.method!.value, "POST");
  assert.equal(list.scheme!.value, "http");
  assert.equal(list.path!.value, "/s/m");
  assert.equal(list.authority!.value, "a.test");
  assert.equal(list.te!.value, "trailers");
  assert.equal(list.contentType!.value, "application/grpc");
  assert.equal(list.grpcTimeout!.value, "1S");
  assert.equal(list.host!.value, "a.test");
  assert.equal(list.expect!.value, "100-continue");
  assert.equal(list.contentLength, 12);
  assert.equal(list.unstable, 0);
});

test("what an earlier check found is forgotten", () => {
  const list = listOf(...pseudo, "content-length: 12", "te: trailers");
  assert.equal(checkRequest(list), 0);
  list.reset();
  list.push(store.field("grpc-status", "0"));
  assert.equal(checkTrailers(list), 0);
  assert.equal(list.contentLength, -1);
  assert.equal(list.te, null);
  assert.equal(list.path, null);
  assert.equal(list.grpcStatus!.value, "0");
});

test("fresh fields are counted, since such a list cannot be recognised", () => {
  const small = new FieldStore({ valueBytes: 4 });
  const list = listOf(...pseudo);
  list.push(small.field("x-a", "too long to keep"));
  assert.equal(checkRequest(list), 0);
  assert.equal(list.unstable, 1);
});

test("host and :authority may differ in case and in the scheme's own port, and either may be absent", () => {
  for (const [scheme, authority, host] of [
    ["http", "A.test:80", "a.TEST"],
    ["https", "a.test", "a.test:443"],
    ["https", "a.test:8443", "a.test:8443"],
  ]) {
    assert.equal(
      checkRequest(
        listOf(":method: POST", `:scheme: ${scheme}`, ":path: /", `:authority: ${authority}`, `host: ${host}`),
      ),
      0,
    );
  }
  assert.equal(checkRequest(listOf(":method: POST", ":scheme: http", ":path: /", "host: a.test")), 0);
  assert.equal(checkRequest(listOf(":method: POST", ":scheme: http", ":path: /")), 0);
  assert.equal(checkRequest(listOf(":method: OPTIONS", ":scheme: http", ":path: *")), 0);
});

const request = checkRequest;
refuses(request, HeaderFault.NAME_ILLEGAL, "an upper case name", ...pseudo, "X-A: 1");
refuses(request, HeaderFault.NAME_ILLEGAL, "a blank in a name", ...pseudo, "x a: 1");
refuses(request, HeaderFault.VALUE_ILLEGAL, "a line feed in a value", ...pseudo, "x-a: a\nb");
refuses(request, HeaderFault.VALUE_ILLEGAL, "a blank behind a value", ...pseudo, "x-a: a ");
refuses(request, HeaderFault.VALUE_ILLEGAL, "NUL in a path", ":method: POST", ":scheme: http", ":path: /\u0000");
for (const name of ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]) {
  refuses(request, HeaderFault.CONNECTION_SPECIFIC, name, ...pseudo, `${name}: x`);
}
refuses(request, HeaderFault.TE_NOT_TRAILERS, "te of gzip", ...pseudo, "te: gzip");
refuses(request, HeaderFault.TE_NOT_TRAILERS, "te of more than trailers", ...pseudo, "te: trailers, gzip");
refuses(request, HeaderFault.METHOD_ILLEGAL, "an empty method", ":method: ", ":scheme: http", ":path: /");
refuses(request, HeaderFault.METHOD_ILLEGAL, "a method of two words", ":method: A B", ":scheme: http", ":path: /");
refuses(request, HeaderFault.SCHEME_ILLEGAL, "a scheme with a slash", ":method: POST", ":scheme: ht/tp", ":path: /");
refuses(request, HeaderFault.PATH_ILLEGAL, "an empty path", ":method: POST", ":scheme: http", ":path: ");
refuses(request, HeaderFault.PATH_ILLEGAL, "a path without its slash", ":method: POST", ":scheme: http", ":path: a");
refuses(request, HeaderFault.PATH_ILLEGAL, "a path with a blank", ":method: POST", ":scheme: http", ":path: /a b");
refuses(request, HeaderFault.PATH_ILLEGAL, "a path with a fragment", ":method: POST", ":scheme: http", ":path: /a#b");
refuses(
  request,
  HeaderFault.AUTHORITY_ILLEGAL,
  "user information",
  ":method: POST",
  ":scheme: http",
  ":path: /",
  ":authority: u@a",
);
refuses(request, HeaderFault.AUTHORITY_ILLEGAL, "a host with a slash", ...pseudo, "host: a.test/x");
refuses(request, HeaderFault.CONTENT_LENGTH_ILLEGAL, "a negative length", ...pseudo, "content-length: -1");
refuses(request, HeaderFault.CONTENT_LENGTH_ILLEGAL, "a list of lengths", ...pseudo, "content-length: 1, 1");
refuses(request, HeaderFault.CONTENT_LENGTH_ILLEGAL, "an empty length", ...pseudo, "content-length: ");
refuses(
  request,
  HeaderFault.CONTENT_LENGTH_ILLEGAL,
  "a length of twenty digits",
  ...pseudo,
  `content-length: ${"9".repeat(20)}`,
);
refuses(
  request,
  HeaderFault.CONTENT_LENGTH_REPEATED,
  "two lengths",
  ...pseudo,
  "content-length: 1",
  "content-length: 1",
);
refuses(request, HeaderFault.UNKNOWN_PSEUDO, "a made-up pseudo field", ":foo: x", ...pseudo);
refuses(request, HeaderFault.EXTENDED_CONNECT, "a websocket", ":protocol: websocket", ...pseudo);
refuses(
  request,
  HeaderFault.PSEUDO_AFTER_REGULAR,
  "a late path",
  ":method: POST",
  ":scheme: http",
  "x-a: 1",
  ":path: /",
);
for (const line of pseudo) refuses(request, HeaderFault.PSEUDO_REPEATED, `twice ${line}`, ...pseudo, line);
refuses(request, HeaderFault.RESPONSE_PSEUDO_IN_REQUEST, "a status in a request", ...pseudo, ":status: 200");
refuses(request, HeaderFault.METHOD_MISSING, "no method", ...pseudo.slice(1));
refuses(request, HeaderFault.METHOD_MISSING, "nothing");
refuses(request, HeaderFault.SCHEME_MISSING, "no scheme", ":method: POST", ":path: /");
refuses(request, HeaderFault.PATH_MISSING, "no path", ":method: POST", ":scheme: http");
refuses(request, HeaderFault.CONNECT_REFUSED, "a tunnel", ":method: CONNECT", ":authority: a.test:1");
refuses(request, HeaderFault.ASTERISK_NOT_OPTIONS, "an asterisk", ":method: POST", ":scheme: http", ":path: *");
refuses(request, HeaderFault.HOST_DIFFERS, "another host", ...pseudo, "host: b.test");
refuses(request, HeaderFault.HOST_DIFFERS, "another port", ...pseudo, "host: a.test:443");
refuses(request, HeaderFault.HOST_REPEATED, "two hosts", ...pseudo, "host: a.test", "host: a.test");

test("a response is well-formed and its fields are found", () => {
  const list = listOf(
    ":status: 200",
    "content-type: application/grpc",
    "grpc-status: 5",
    "grpc-message: no",
    "content-length: 0",
  );
  assert.equal(checkResponse(list), 0);
  assert.equal(list.statusCode, 200);
  assert.equal(list.status!.value, "200");
  assert.equal(list.grpcStatus!.value, "5");
  assert.equal(list.grpcMessage!.value, "no");
  assert.equal(list.contentLength, 0);
  assert.equal(checkResponse(listOf(":status: 103", "link: x")), 0);
});

const response = checkResponse;
for (const status of ["", "20", "2000", "2x0", "099", "101"]) {
  refuses(response, HeaderFault.STATUS_ILLEGAL, `a status of "${status}"`, `:status: ${status}`);
}
refuses(response, HeaderFault.STATUS_MISSING, "no status", "content-type: application/grpc");
refuses(response, HeaderFault.PSEUDO_AFTER_REGULAR, "a late status", "x-a: 1", ":status: 200");
refuses(response, HeaderFault.PSEUDO_REPEATED, "two statuses", ":status: 200", ":status: 200");
refuses(response, HeaderFault.TE_NOT_IN_REQUEST, "te in a response", ":status: 200", "te: trailers");
refuses(
  response,
  HeaderFault.CONTENT_LENGTH_REPEATED,
  "two lengths in a response",
  ":status: 200",
  "content-length: 1",
  "content-length: 2",
);
refuses(
  response,
  HeaderFault.CONNECTION_SPECIFIC,
  "chunks in a response",
  ":status: 200",
  "transfer-encoding: chunked",
);
for (const line of pseudo)
  refuses(response, HeaderFault.REQUEST_PSEUDO_IN_RESPONSE, `${line} in a response`, ":status: 200", line);

test("trailers are well-formed without any field, and their status is found", () => {
  assert.equal(checkTrailers(listOf()), 0);
  const list = listOf("grpc-status: 0", "grpc-message: fine");
  assert.equal(checkTrailers(list), 0);
  assert.equal(list.grpcStatus!.value, "0");
  assert.equal(list.grpcMessage!.value, "fine");
});

for (const line of [...pseudo, ":status: 200"])
  refuses(checkTrailers, HeaderFault.PSEUDO_IN_TRAILERS, `trailers with ${line}`, line);
refuses(checkTrailers, HeaderFault.TE_NOT_IN_REQUEST, "te in trailers", "te: trailers");
refuses(checkTrailers, HeaderFault.NAME_ILLEGAL, "an upper case trailer", "Grpc-Status: 0");
refuses(checkTrailers, HeaderFault.CONNECTION_SPECIFIC, "connection in trailers", "connection: close");

test("every fault was provoked", () => {
  for (const [name, fault] of Object.entries(HeaderFault)) {
    if (fault !== 0) assert.ok(provoked.has(fault), name);
  }
});
