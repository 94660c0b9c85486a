/** What is printed and kept must be what was measured, and a failure must never look like a figure. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { compareFigures } from "../../bench/base.js";
import { calibrationText } from "../../bench/calibrate.js";
import { judgeCannon, judgeMade } from "../../bench/control.js";
import { processTree, statTicks } from "../../bench/cpu.js";
import { readDuration, readSummary } from "../../bench/h2load.js";
import { readOptions, UsageError } from "../../bench/options.js";
import { PEERS } from "../../bench/peers/all.js";
import { topFunctions } from "../../bench/profile.js";
import { readmeText, withTable } from "../../bench/readme.js";
import { DATA_MARK, reportData, reportPage } from "../../bench/report.js";
import { resultLines } from "../../bench/results.js";
import { makeFigure, type Sample, type ScenarioResult } from "../../bench/rounds.js";
import { SCENARIOS } from "../../bench/scenarios.js";
import { failureLines, latencyTable, markdownTable } from "../../bench/table.js";
import { judgeWaiting } from "../../bench/waiting.js";

const [nghttpx] = PEERS;
const contender = { peer: nghttpx! };
const sample = (cpuPerUnit: number): Sample => ({
  cpuPerUnit,
  callsPerSecond: 1000,
  unitsPerSecond: 1000,
  residentBytes: 1 << 20,
  latency: { p50: 100, p99: 2500, p999: 3000, max: 4000 },
});
const result = (figures: ScenarioResult["figures"]): ScenarioResult => ({
  scenario: "unary-10x100",
  question: "</script>",
  unit: "call",
  measure: "cpu",
  client: "own",
  service: "echo",
  rate: 0,
  figures,
});

test("a figure is the median with the spread and the ratio of paired rounds", () => {
  const figure = makeFigure(contender, [sample(10), sample(12), sample(11)], null, [sample(5), sample(6), sample(5.5)]);
  assert.equal(figure.cpuPerUnit, 11);
  assert.equal(figure.ratio, 0.5);
  assert.deepEqual([figure.low, figure.high], [10, 12]);
  assert.equal(markdownTable([result([figure])]).split("\n")[2], "| unary-10x100, µs/call | 11.0 ± 9 % (0.50×) |");
  assert.match(latencyTable([result([figure])]), /100 µs \| 2\.50 ms \| 3\.00 ms/);
});

test("a proxy that failed in its last round has no figure, however fast the others were", () => {
  const figure = makeFigure(contender, [sample(1), sample(1)], "1 × short body", [sample(5)]);
  assert.ok(Number.isNaN(figure.cpuPerUnit) && Number.isNaN(figure.callsPerSecond));
  assert.equal(figure.ratio, null);
  assert.equal(figure.latency, null);
  assert.match(markdownTable([result([figure])]), /\| failed \|/);
  assert.deepEqual(failureLines([result([figure])]), ["FAILED unary-10x100 through nghttpx: 1 × short body"]);
  assert.match(reportData(resultLines([result([figure])], true)), /"cpuPerUnit":null/);
});

test("the README's table stands between its marks, with when and where it was measured", () => {
  const [line] = resultLines([result([makeFigure(contender, [sample(10), sample(12)], null, [])])], true);
  const text = readmeText([{ ...line!, run: "2030-01-02T03:04:05Z", machine: "a box", versions: { node: "v99" } }]);
  assert.match(text, /^\| scenario \| nghttpx \|/);
  assert.match(text, /median of 2 interleaved rounds[\s\S]*2030-01-02 at [\s\S]* on a box; node v99/);
  const page = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb";
  const written = withTable(page, text);
  assert.equal(written, `a\n<!-- bench:begin -->\n${text}\n<!-- bench:end -->\nb`);
  assert.equal(withTable(written, text), written);
  assert.throws(() => withTable("no marks", text), /no place/);
});

test("p99 is worse only when the ranks say so, and with too few rounds nothing is claimed", () => {
  const waits = (name: string, role: "sluice" | "proxy" | "floor", ...p99: number[]) =>
    makeFigure(
      { peer: { ...nghttpx!, name, title: name, role } },
      p99.map((one) => ({ ...sample(1), latency: { p50: 1, p99: one, p999: 1, max: 1 } })),
      null,
      [],
    );
  const judge = (...figures: ScenarioResult["figures"]) => judgeWaiting(result(figures));
  const slow = waits("slow", "proxy", 90, 91, 92, 93, 94);
  const best = waits("best", "proxy", 10, 11, 12, 13, 14);
  const floor = waits("floor", "floor", 1, 1, 1, 1, 1);
  const worse = judge(waits("sluice", "sluice", 20, 21, 22, 23, 24), slow, best, floor)!;
  assert.equal(worse.holds, false);
  assert.match(worse.text, /^WORSE; 22\.0 µs against 12\.0 µs of best, p = 0\.008, 5 rounds/);
  assert.equal(judge(waits("sluice", "sluice", 9, 15, 11.5, 30, 10.5), best)!.holds, true);
  assert.deepEqual(judge(waits("sluice", "sluice", 5, 5, 5), best)!.holds, false);
  assert.match(judge(waits("sluice", "sluice", 5, 5, 5), best)!.text, /too few/);
  assert.equal(judge(waits("sluice", "sluice", 5, 5, 5), floor), null);
});

test("the report page holds the results and cannot be closed by them", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-report-"));
  try {
    const template = join(folder, "template.html");
    writeFileSync(template, `<script>${DATA_MARK}</script>`);
    const page = reportPage(resultLines([result([makeFigure(contender, [sample(2)], null, [])])], false), template);
    assert.equal(page.split("</script>").length, 2);
    const data = JSON.parse(/const RESULTS = (.*);<\/script>/s.exec(page)![1]!) as {
      question: string;
      figures: { cpuPerUnit: number; rounds: number }[];
    }[];
    assert.equal(data[0]!.question, "</script>");
    assert.deepEqual(
      data[0]!.figures.map((figure) => [figure.cpuPerUnit, figure.rounds]),
      [[2, 1]],
    );
    writeFileSync(template, "<p>");
    assert.throws(() => reportPage([], template), /no place for the results/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const summary = (calls: number, failed: number, notFound: number, bytes: number): string =>
  `finished in 1.02s, ${calls}.00 req/s\nrequests: ${calls} total, ${calls} started, ${calls} done, ${calls - failed} succeeded, ${failed} failed, ${failed} errored, 0 timeout
status codes: ${calls - notFound} 2xx, 0 3xx, ${notFound} 4xx, 0 5xx\ntraffic: 11.19MB (11732431) total, 2.41MB (2531041) headers (space savings 93.60%), 2.63MB (${bytes}) data`;

test("h2load's summary is believed only when statuses and bytes fit", () => {
  assert.deepEqual(readSummary(summary(1000, 0, 0, 12_000), 12).failures, {});
  assert.equal(readSummary(summary(1000, 0, 0, 12_000), 12).calls, 1000);
  assert.match(Object.keys(readSummary(summary(1000, 0, 0, 11_988), 12).failures).join(), /short body/);
  assert.match(Object.keys(readSummary(summary(1000, 0, 5, 12_000), 12).failures).join(), /not 2xx/);
  assert.match(Object.keys(readSummary(summary(1000, 3, 0, 12_000), 12).failures).join(), /call failed/);
  assert.match(Object.keys(readSummary("nothing", 12).failures).join(), /not one call/);
  assert.deepEqual(["767us", "13.69ms", "1.5s"].map(readDuration), [767, 13_690, 1_500_000]);
});

test("autocannon's report is believed only when every request was answered", () => {
  const latency = { p50: 1, p99: 2, p99_9: 3, max: 4 };
  const report = { "2xx": 10, non2xx: 0, errors: 0, timeouts: 0, duration: 1, latency };
  assert.equal(judgeCannon(report), null);
  // Against a port that speaks only HTTP/2 autocannon counts nothing at all, neither answers nor errors.
  assert.match(judgeCannon({ ...report, "2xx": 0 })!, /not one answer/);
  assert.match(judgeCannon({ ...report, errors: 1 })!, /connection error/);
  assert.match(judgeCannon({ ...report, timeouts: 1 })!, /in time/);
  assert.match(judgeCannon({ ...report, non2xx: 1 })!, /not 2xx/);
  const making = { method: "POST", path: "/tyk/keys/create" } as const;
  assert.equal(judgeMade(making, report, 11), null);
  assert.match(judgeMade(making, report, 9)!, /10 answers, but 9 keys/);
  assert.equal(judgeMade({ ...making, method: "GET" }, report, 0), null);
});

test("the calibration says how far the two clients are apart", () => {
  const text = calibrationText({ scenario: "unary-10x100", proxy: "Sluice", own: [3.3, 3.3], h2load: [3, 3] });
  assert.match(text, /own client 3\.30 µs ± 0 %, h2load 3\.00 µs ± 0 %, disagreement \+10\.0 %/);
});

test("the comparison with a base says which way, and by how much", () => {
  const figure = (values: number[]) => makeFigure(contender, values.map(sample), null, []);
  const line = compareFigures(result([]), figure([10, 11, 12, 13, 14, 15]), figure([5, 5.5, 6, 6.5, 7, 7.5]));
  assert.match(line, /^unary-10x100: cheaper; 12\.5 → 6\.25 µs\/call, 0\.500×/);
  assert.match(compareFigures(result([]), figure([10, 11, 12]), figure([10.5, 11.5, 11])), /no difference/);
});

test("the profile's time counts functions by themselves and leaves idling out", () => {
  const node = (id: number, functionName: string) => ({
    id,
    callFrame: { functionName, url: "file:///x/dist/worker/a.js", lineNumber: 4 },
  });
  const shares = topFunctions({
    nodes: [node(1, "(idle)"), node(2, "relay"), node(3, "")],
    samples: [1, 2, 3, 2],
    timeDeltas: [900, 30, 40, 30],
  });
  assert.deepEqual(shares, [
    { place: "relay worker/a.js:5", share: 0.6 },
    { place: "(anonymous) worker/a.js:5", share: 0.4 },
  ]);
});

test("CPU ticks are read behind a command name that holds spaces and brackets", () => {
  assert.equal(statTicks("12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20"), 100);
});

test("this process is in its own tree", { skip: process.platform !== "linux" }, () =>
  assert.equal(processTree(process.pid)[0], process.pid),
);

test("wrong words on the command line are refused by name", () => {
  for (const args of [
    ["--scenario", "nope"],
    ["--peer", "nope"],
    ["--client", "curl"],
    ["--rounds", "0"],
    ["--rounds", "1.5"],
    ["--seconds", "x"],
    ["--what"],
    ["word"],
  ]) {
    assert.throws(() => readOptions(args), UsageError, args.join(" "));
  }
  assert.equal(readOptions(["--quick"]).rounds, 3);
  assert.deepEqual(readOptions(["--scenario", "mixed", "--peer", "none"]).peers, ["none"]);
});

test("scenario names are unique and the quick run holds what it promises", () => {
  assert.equal(new Set(SCENARIOS.map((scenario) => scenario.name)).size, SCENARIOS.length);
  assert.deepEqual(
    SCENARIOS.filter((scenario) => scenario.quick).map((scenario) => scenario.name),
    ["unary-10x100", "unary-50x10", "unary-100x1", "unary-1x1", "deadline-10x100", "reply-1mb"],
  );
});
