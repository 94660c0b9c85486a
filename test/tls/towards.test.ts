// Which client certificate a target gets: the precedence of spec 6.8, one target at a time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { clientCertificate } from "../../src/worker/tls/towards.js";

type Map = Record<string, string>;

const found = (host: string, port: number, own: Map, everywhere: Map = {}, disabled = false): string =>
  clientCertificate(
    { upstream_certificates: own, upstream_certificates_disabled: disabled },
    { host, port },
    { security: { certificates: { upstream: everywhere } } },
  );

const ALL = { "*": "any", "*.b.c": "wild", "*.b.c:1": "wildport", "a.b.c": "host", "a.b.c:1": "hostport" };
const without = (...names: string[]): Map =>
  Object.fromEntries(Object.entries(ALL).filter(([name]) => !names.includes(name)));

const CASES: [string, string, number, Map, Map, string][] = [
  ["nothing is listed", "a.b.c", 1, {}, {}, ""],
  ["host and port win", "a.b.c", 1, ALL, {}, "hostport"],
  ["the host is next", "a.b.c", 1, without("a.b.c:1"), {}, "host"],
  ["another port meets the host alone", "a.b.c", 2, ALL, {}, "host"],
  ["then the wildcard with the port", "a.b.c", 1, without("a.b.c:1", "a.b.c"), {}, "wildport"],
  ["then the wildcard", "a.b.c", 2, without("a.b.c:1", "a.b.c"), {}, "wild"],
  ["then any host", "a.b.c", 1, { "*": "any" }, {}, "any"],
  ["a wildcard is one label", "x.a.b.c", 1, { "*.b.c": "wild" }, {}, ""],
  ["a wildcard is not its own domain", "b.c", 1, { "*.b.c": "wild" }, {}, ""],
  ["IPv4 with a port", "10.0.0.1", 8443, { "10.0.0.1:8443": "v4" }, {}, "v4"],
  ["IPv4 without a port", "10.0.0.1", 8443, { "10.0.0.1": "v4" }, {}, "v4"],
  ["an address has no labels", "10.0.0.1", 8443, { "*.0.0.1": "v4" }, {}, ""],
  ["IPv6 with a port", "::1", 8443, { "[::1]:8443": "v6" }, {}, "v6"],
  ["IPv6 without a port", "::1", 8443, { "::1": "v6" }, {}, "v6"],
  ["the gateway's list counts where the API's has nothing", "a.b.c", 1, { "x.y": "own" }, { "a.b.c": "all" }, "all"],
  ["anything of the API's overrides the gateway's", "a.b.c", 1, { "*": "own" }, { "a.b.c:1": "all" }, "own"],
];

for (const [says, host, port, own, everywhere, expected] of CASES)
  test(`upstream certificates: ${says}`, () => assert.equal(found(host, port, own, everywhere), expected));

test("upstream certificates: disabled means none, the gateway's included", () => {
  assert.equal(found("a.b.c", 1, ALL, { "*": "all" }, true), "");
});

test("upstream certificates: two targets of one list are looked up each for itself", () => {
  const own = { "a.b.c": "one", "d.e.f": "two" };
  assert.deepEqual([found("a.b.c", 1, own), found("d.e.f", 1, own), found("g.h.i", 1, own)], ["one", "two", ""]);
});

test("upstream certificates: names are compared whatever their case", () => {
  assert.equal(found("A.b.C", 1, { "a.B.c": "one" }), "one");
});
