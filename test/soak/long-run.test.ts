// Responsible for: a gateway at moderate mixed load for as long as asked, with reloads and rolling restarts: memory and handles
// stay flat, nothing fails, the runtime warns of nothing. One minute, or `npm run test:soak -- --minutes 30`.
// Governed by: issue "Operating it", acceptance.
//
// The first third is for warming up and has the rolling restarts; the workers that serve at its end live through the other two
// and are judged by the medians of these. Then comes a row of restarts, which the primary has to survive as it was.

import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { HomeName } from "../gate/world.js";
import { redisMissing } from "../store/redis-server.js";
import { type Allowance, type Growth, growth, type Sample, sample, tableOf } from "./samples.js";
import { Site, WORKERS } from "./site.js";

const MINUTES = Number(process.env["SLUICE_SOAK_MINUTES"] ?? 1);
const THIRD = (MINUTES * 60) / 3;
/** Of all gateways together. */
const CALLS_PER_SECOND = 300;
const SAMPLE_EVERY = Math.min(10, THIRD / 20);
const RELOAD_EVERY = Math.min(20, THIRD / 5);
/** In the first third; the last so early that old workers are gone when it ends. */
const RESTARTS_AT = [0.4, 0.8].map((share) => share * THIRD);
const RESTARTS_AFTER = Math.max(2, Math.round(MINUTES / 6));
const SPAN_AFTER = Math.min(20, THIRD / 4);
/** Of minutes. A heap that is younger still grows to the size at which it is collected. */
const GROWN_UP = 10;
const MAY: Allowance = { share: 0.1, bytes: (MINUTES < GROWN_UP ? 40 : 15) << 20, handles: 5 };
/**
 * Where this process got no CPU for so much of the time, neither did the gateways: a limit that was not counted in its time, a
 * connection that took too long, say something of the machine. Otherwise no call may fail.
 */
const MOST_SLEPT = 0.01;
const MAY_FAIL = 0.001;
/** Levels of pino: from a warning on, nobody has a reason to write a line here. */
const QUIET_BELOW = 40;

class Soak {
  readonly samples: Sample[] = [];
  readonly loud = new Set<string>();
  readonly troubles: string[] = [];
  readonly #sites: readonly Site[];
  readonly #begun = performance.now();
  #over = false;

  constructor(sites: readonly Site[]) {
    this.#sites = sites;
  }

  get second(): number {
    return (performance.now() - this.#begun) / 1_000;
  }

  /** Samples as they are due; one that is late is left out. Ends with `stopLooking`. */
  async look(): Promise<void> {
    for (let due = this.second; !this.#over; due = Math.max(due + SAMPLE_EVERY, this.second)) {
      await this.#sample();
      await pause(due + SAMPLE_EVERY - this.second);
    }
  }

  stopLooking(): void {
    this.#over = true;
  }

  /** On every gateway at once; a failure is told in the end. */
  async all(run: (site: Site) => Promise<void>): Promise<void> {
    await Promise.all(this.#sites.map((site) => run(site).catch((error) => this.#note(site, error))));
  }

  #note(site: Site, error: Error): void {
    this.troubles.push(`${this.second.toFixed(0)} s ${site.home}: ${error.message} ${error.cause ?? ""}`);
  }

  async #sample(): Promise<void> {
    for (const site of this.#sites) {
      const { gateway, home } = site;
      await site.operate().catch((error) => this.#note(site, error));
      const workers = await gateway.workers();
      const seen = [
        sample(gateway.pid, `primary ${home}`, this.second),
        ...workers.map((pid) => sample(pid, `worker ${home}`, this.second)),
      ];
      this.samples.push(...seen.filter((one) => one !== null));
      for (const line of gateway.logs.split("\n"))
        if (Number(/"level":(\d+)/.exec(line)?.[1] ?? 0) >= QUIET_BELOW) this.loud.add(line);
    }
  }

  /** Every process that lived through both spans. */
  growths(before: readonly [number, number], after: readonly [number, number], only: RegExp): Growth[] {
    const within = (pid: number, [from, to]: readonly [number, number]): Sample[] =>
      this.samples.filter((one) => one.pid === pid && one.second >= from && one.second < to);
    const all = new Set(this.samples.filter((one) => only.test(one.role)).map((one) => one.pid));
    return [...all].flatMap((pid) => {
      const [first, second] = [within(pid, before), within(pid, after)];
      return first.length > 0 && second.length > 0 ? [growth(first, second, MAY)] : [];
    });
  }
}

const pause = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, seconds * 1_000)));

/** The times at which the spans that are compared began and ended. */
async function live(soak: Soak): Promise<readonly [warm: number, middle: number, last: number, row: number]> {
  let over = false;
  const reloading = async (): Promise<void> => {
    for (;;) {
      await pause(RELOAD_EVERY);
      if (over) return;
      await soak.all((site) => site.reload());
    }
  };
  const running = reloading();
  const until = (second: number): Promise<void> => pause(second - soak.second);
  const restart = (): Promise<void> => soak.all((site) => site.restart());
  for (const at of RESTARTS_AT) {
    await until(at);
    await restart();
  }
  await until(THIRD);
  const warm = soak.second;
  await until(warm + THIRD);
  const middle = soak.second;
  await until(middle + THIRD);
  const last = soak.second;
  for (let n = 0; n < RESTARTS_AFTER; n++) {
    await restart();
    await pause(SPAN_AFTER);
  }
  const row = soak.second;
  await pause(2 * SPAN_AFTER);
  over = true;
  await running;
  return [warm, middle, last, row];
}

async function soakFor(context: TestContext, homes: readonly HomeName[]): Promise<void> {
  const sites: Site[] = [];
  context.after(() => Promise.all(sites.map((site) => site.stop())));
  for (const home of homes) sites.push(await Site.start(home, CALLS_PER_SECOND / homes.length));
  const soak = new Soak(sites);
  const looking = soak.look();
  const [warm, middle, last, row] = await live(soak);
  soak.stopLooking();
  await looking;
  const found = [
    ...soak.growths([warm, middle], [middle, last], /./),
    ...soak.growths([middle, last], [row, Number.POSITIVE_INFINITY], /^primary/),
  ];
  const problems = [...soak.troubles, ...soak.loud];
  for (const site of sites) {
    await site.load.stop();
    const { load, gateway, home } = site;
    context.diagnostic(`${home}: ${load.summary()}; ${site.reloads} reloads, ${site.restarts} restarts`);
    for (const failure of load.failures.slice(0, 10)) context.diagnostic(failure);
    const slept = load.stalledMs / 1_000 / soak.second > MOST_SLEPT;
    if (load.failed + load.heldBack > (slept ? load.done * MAY_FAIL : 0))
      problems.push(`${home}: ${load.summary()}`, ...load.failures);
    if (gateway.complaints !== "") problems.push(`${home}, standard error: ${gateway.complaints}`);
    const deaths = await site.figure("sluice_worker_deaths_total");
    if (deaths > 0) problems.push(`${home}: ${deaths} workers died`);
    problems.push(...(await site.leftBehind()).map((what) => `${home}: without a caller there is ${what}`));
  }
  for (const { text, flat } of found) {
    context.diagnostic(text);
    if (!flat) problems.push(`not flat: ${text}`);
  }
  if (problems.length === 0 && found.length === sites.length * (WORKERS + 2)) return;
  const file = join(mkdtempSync(join(tmpdir(), "sluice-soak-")), "samples.tsv");
  writeFileSync(file, tableOf(soak.samples));
  assert.fail(`${problems.join("\n")}\n${found.length} processes were judged; all samples: ${file}`);
}

describe(`mixed load for ${MINUTES} min, with reloads and rolling restarts`, () => {
  const missing = redisMissing();
  test("memory and handles stay flat, no call fails, the runtime says nothing", (context) => {
    if (missing !== false) context.diagnostic(`embedded store only: ${missing}`);
    return soakFor(context, missing === false ? ["embedded", "redis"] : ["embedded"]);
  });
});
