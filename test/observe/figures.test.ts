// Sums and states of several workers without processes: what is added, what is joined, what callers cannot make grow. And
// the page that says what all of it means.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CATALOGUE, isSum } from "../../src/primary/metrics/catalogue.js";
import { joined } from "../../src/primary/metrics/states.js";
import { metricsText } from "../../src/primary/metrics/text.js";
import { Totals } from "../../src/primary/metrics/totals.js";
import { zeros } from "../../src/primary/metrics/zeros.js";
import { LOG_FIELDS } from "../../src/shared/config/log-fields.js";
import { isLoopback } from "../../src/shared/config/loopback.js";
import { readHealthRequest } from "../../src/shared/grpc/health.js";
import { type MethodFigures, Row } from "../../src/shared/observe/figures.js";
import { ANSWERS, type Answer } from "../../src/worker/call/answers.js";
import { chanceOf, namesTrace, parseTraceparent } from "../../src/worker/call/call-trace.js";
import { Scrape } from "./prometheus.js";

function method(name: string, calls: number, more: Partial<MethodFigures> = {}): MethodFigures {
  const row = new Array<number>(Row.SIZE).fill(0);
  row[Row.STATUS] = calls;
  return { api: "a", service: "s.S", method: name, proven: true, row, open: 0, ...more };
}

const told = (...methods: MethodFigures[]) => ({ methods, ends: [], samples: [] });

const counts = (totals: Totals): Record<string, number> =>
  Object.fromEntries(totals.methods.map((each) => [each.method, each.row[Row.STATUS]!]));

test("increments of several workers are added up", () => {
  const totals = new Totals(10);
  totals.add(told(method("M", 3)), isSum);
  totals.add(told(method("M", 4), method("N", 1)), isSum);
  assert.deepEqual(counts(totals), { M: 7, N: 1 });
});

test("a name that one worker has proven is good for what others tell of it", () => {
  const totals = new Totals(10);
  totals.add(told(method("M", 1, { proven: false })), isSum);
  totals.add(told(method("M", 2)), isSum);
  totals.add(told(method("M", 4, { proven: false })), isSum);
  assert.deepEqual(counts(totals), { other: 1, M: 6 });
});

test("beyond the bound of an API all is counted as other", () => {
  const totals = new Totals(3);
  for (let n = 0; n < 100; n++) totals.add(told(method(`M${n}`, 1)), isSum);
  assert.deepEqual(counts(totals), { M0: 1, M1: 1, M2: 1, other: 97 });
});

test("zeros change nothing that was counted, have reasons that workers give, and have a bound", () => {
  const totals = new Totals(3);
  totals.add({ methods: [], ends: [{ api: "a", by: "network", reason: "refused", count: 2 }], samples: [] }, isSum);
  for (let reload = 0; reload < 2; reload++) totals.add(zeros(["a", "b"]), isSum);
  const refused = totals.ends.filter(({ reason }) => reason === "refused");
  assert.deepEqual(
    refused.map(({ api, count }) => [api, count]),
    [
      ["a", 2],
      ["b", 0],
    ],
  );
  const answers = new Map<string, Answer>(Object.values(ANSWERS).map((answer) => [answer.id, answer]));
  for (const { by, reason } of zeros(["a"]).ends.filter(({ by }) => by === "network" || by === "gateway"))
    assert.equal(answers.get(reason)?.network === true ? "network" : "gateway", by, reason);
  assert.ok(zeros(Array.from({ length: 5_000 }, (_, n) => `api${n}`)).ends.length < 21_000);
  totals.keepOnly(new Set(["b"]));
  assert.ok(totals.ends.every(({ api }) => api === "b"));
});

test("an API that is no longer served is forgotten, and makes room", () => {
  const totals = new Totals(3);
  totals.add(told(method("M", 1), method("N", 1, { api: "b" })), isSum);
  totals.keepOnly(new Set(["b"]));
  assert.deepEqual(counts(totals), { N: 1 });
});

test("states are summed, or the worst of them is told, and what nobody knows is left out", () => {
  const sample = (name: string, value: number, labels = {}) => ({ name, value, labels });
  const shown = joined([
    sample("sluice_connections", 2),
    sample("sluice_connections", 3),
    sample("sluice_store_up", 1),
    sample("sluice_store_up", 0),
    sample("sluice_event_loop_busy_ratio", 0.2),
    sample("sluice_event_loop_busy_ratio", 0.9),
    sample("sluice_target_up", 1, { target: "one" }),
    sample("sluice_target_up", 0, { target: "two" }),
    sample("of_another_version", 1),
    sample("sluice_cpu_seconds_total", 1),
  ]);
  assert.deepEqual(
    shown.map(({ name, value }) => [name, value]),
    [
      ["sluice_connections", 5],
      ["sluice_store_up", 0],
      ["sluice_event_loop_busy_ratio", 0.9],
      ["sluice_target_up", 1],
      ["sluice_target_up", 0],
    ],
  );
});

test("labels with quotes, line ends and backslashes stay labels", async () => {
  const subject = 'CN="a\\b"\nc';
  const samples = [{ name: "sluice_certificate_expiry_timestamp_seconds", labels: { subject }, value: 1 }];
  const scrape = new Scrape(await metricsText({ methods: [], open: [], ends: [], samples }));
  assert.deepEqual(scrape.by("subject", "sluice_certificate_expiry_timestamp_seconds"), { [subject]: 1 });
});

test("only addresses of this host are loopback", () => {
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"])
    assert.ok(isLoopback(address));
  for (const address of ["", "0.0.0.0", "::", "127.0.0.1.example.org", "10.0.0.1", "128.0.0.1"])
    assert.equal(isLoopback(address), false, address);
});

test("requests about health are read, or are none", () => {
  const framed = (...message: number[]) => Buffer.from([0, 0, 0, 0, message.length, ...message]);
  assert.equal(readHealthRequest(framed()), "");
  assert.equal(readHealthRequest(framed(0x0a, 0)), "");
  assert.equal(readHealthRequest(framed(0x0a, 2, 0x61, 0x62)), "ab");
  for (const wrong of [
    Buffer.alloc(0),
    Buffer.alloc(4),
    Buffer.from([1, 0, 0, 0, 0]),
    Buffer.from([0, 0, 0, 0, 1]),
    framed(0x0a),
    framed(0x0a, 5, 1),
    framed(0x0a, 0xff, 0xff, 0xff, 0xff),
    framed(0x12, 0),
  ])
    assert.equal(readHealthRequest(wrong), undefined);
});

test("a traceparent is read as its specification says", () => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const span = "b7ad6b7169203331";
  assert.deepEqual(parseTraceparent(`00-${trace}-${span}-01`), { traceId: trace, spanId: span, sampled: true });
  assert.equal(parseTraceparent(`00-${trace}-${span}-02`)?.sampled, false);
  assert.equal(parseTraceparent(`01-${trace}-${span}-03-more`)?.sampled, true);
  for (const wrong of [
    "",
    `00-${trace}-${span}`,
    `00-${trace}-${span}-01-more`,
    `ff-${trace}-${span}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `01-${trace}-${span}-01${"-".repeat(600)}`,
  ])
    assert.equal(parseTraceparent(wrong), null, wrong);
});

test("any octet changed in a traceparent is judged as a pattern of the specification judges it", () => {
  const pattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;
  const twin = (value: string) => pattern.test(value) && (!value.startsWith("00") || value.length === 55);
  const good = [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    `cc-${"0".repeat(31)}1-${"0".repeat(15)}1-ff-and-more`,
  ];
  for (const value of good) {
    for (let at = 0; at < value.length; at++) {
      for (const put of ["", "-", "0", "f", "g", "F", "/", ":", "`", "\u0130", "00"]) {
        const changed = value.slice(0, at) + put + value.slice(at + 1);
        assert.equal(namesTrace(changed), twin(changed), changed);
      }
    }
  }
  assert.equal(chanceOf(good[0]!), 0x1c80319c / 2 ** 32);
  assert.equal(chanceOf(`00-${"f".repeat(32)}-b7ad6b7169203331-01`) < 1, true);
});

test("the page about metrics names every one of them, and every field of the log", () => {
  const page = readFileSync(new URL("../../../docs/metrics.md", import.meta.url), "utf8");
  const source = readFileSync(new URL("../../../src/primary/metrics/text.ts", import.meta.url), "utf8");
  const names = [
    ...Object.keys(CATALOGUE),
    ...[...source.matchAll(/"(sluice_\w+?)(?:_bucket|_sum|_count)?"/g)].map(([, name]) => name!),
  ];
  for (const name of [...names, ...LOG_FIELDS]) assert.ok(page.includes(`\`${name}\``), name);
  const reasons = readFileSync(new URL("../../../src/worker/observe/wait-reason.ts", import.meta.url), "utf8");
  for (const [, reason] of reasons.matchAll(/^ {2}\| "(\w+)"/gm)) assert.ok(page.includes(`\`${reason}\``), reason);
});
