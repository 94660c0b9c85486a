import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPort } from "../../src/shared/model/ports.js";
import { definitionWith, errorsOf, judge, settingsWith } from "./fixture.js";

type List = Record<string, { ports?: number[]; ranges?: { from: number; to: number }[] }>;

// The eleven cases of TestCheckPortWhiteList, on a port that is not the gateway's own.
const CASES: [string, List, string, number, boolean][] = [
  ["no protocol and no list", {}, "", 6000, false],
  ["http with its own port listed", { http: { ports: [6000] } }, "http", 6000, true],
  ["tls with nothing listed", {}, "tls", 6000, false],
  ["tls with another protocol's list only", { http: { ports: [6000] } }, "tls", 6000, false],
  ["tls with its port listed", { tls: { ports: [6000] } }, "tls", 6000, true],
  ["tcp with its port listed", { tcp: { ports: [6000] } }, "tcp", 6000, true],
  ["tcp when only tls lists it", { tls: { ports: [6000] } }, "tcp", 6000, false],
  ["tls when only tcp lists it", { tcp: { ports: [6000] } }, "tls", 6000, false],
  ["tls in a range", { tls: { ranges: [{ from: 5999, to: 6001 }] } }, "tls", 6000, true],
  ["tcp in a range", { tcp: { ranges: [{ from: 5999, to: 6001 }] } }, "tcp", 6000, true],
  ["http 8090 in 8000 to 9000", { http: { ranges: [{ from: 8000, to: 9000 }] } }, "http", 8090, true],
];

for (const [name, ports_whitelist, protocol, port, permitted] of CASES) {
  test(`port whitelist: ${name} is ${permitted ? "permitted" : "refused"}`, () => {
    assert.equal(checkPort(settingsWith({ ports_whitelist }), protocol, port) === "", permitted);
  });
}

test("both ends of a range are permitted and nothing beyond", () => {
  const settings = settingsWith({ ports_whitelist: { h2c: { ranges: [{ from: 6000, to: 6002 }] } } });
  const permitted = [5999, 6000, 6002, 6003].map((port) => checkPort(settings, "h2c", port) === "");
  assert.deepEqual(permitted, [false, true, true, false]);
});

test("the main and the control port count as listed for http only", () => {
  const settings = settingsWith({ control_api_port: 8081 });
  assert.equal(checkPort(settings, "http", 8080), "");
  assert.equal(checkPort(settings, "http", 8081), "");
  assert.notEqual(checkPort(settings, "h2c", 8080), "");
});

test("disable_ports_whitelist permits every port", () => {
  assert.equal(checkPort(settingsWith({ disable_ports_whitelist: true }), "h2c", 6000), "");
});

test("a definition whose port is not permitted is left out and told what to add", () => {
  const [error, ...more] = errorsOf(judge(definitionWith({ listen_port: 6666, protocol: "h2c" })));
  assert.match(error ?? "", /^\$\.listen_port opens port 6666 for h2c, which ports_whitelist does not permit/);
  assert.deepEqual(more, []);
});

test("a definition on the control port is left out", () => {
  const settings = settingsWith({ control_api_port: 8081 });
  assert.match(
    errorsOf(judge(definitionWith({ listen_port: 8081 }), settings))[0] ?? "",
    /must not be control_api_port/,
  );
});

test("the main port has the protocol http, written or not", () => {
  assert.equal(judge(definitionWith({ listen_port: 8080, protocol: "http" })).definition?.port, 8080);
  assert.equal(judge(definitionWith({ protocol: "" })).definition?.protocol, "http");
  assert.match(errorsOf(judge(definitionWith({ protocol: "h2c" })))[0] ?? "", /on the main port 8080/);
});
