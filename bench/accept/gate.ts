/**
 * The acceptance lines about the gate: what keys, rights and limits cost a call, what a million stored keys cost, what a flood of
 * unknown ones costs, how fast a revocation counts everywhere, and how much of a shared rate is used.
 * Must not know how a gateway is started (gate-site.ts).
 */
import { pause } from "../children.js";
import { failureText } from "../outcome.js";
import { median, pairedRatio, spread } from "../statistics.js";
import { digits } from "../table.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { HostOfCalls } from "./gate-callers.js";
import {
  embeddedHome,
  fill,
  type Home,
  measure,
  newTokens,
  SECRET,
  type Site,
  startRedis,
  startService,
  startSite,
} from "./gate-site.js";
import { STAMPS_VARIABLE, stampFolder, takeWindows } from "./stamps.js";

const IN_USE = 10_000;
const STORED = 1_000_000;
const SECONDS = 4;
const LEAD_SECONDS = 2;
const COST_BAR = 1.25;
const STORED_BAR = 1.1;
const START_BAR_MS = 200;
const STARTS = 5;
const REVOCATIONS = 100;
const REVOCATION_BAR_MS = 200;
const FLOOD = 50_000;
/** Memory is steady when the last rounds stay within so much of the one before them; so many floods are tried for that. */
const STEADY_ROUNDS = 3;
const STEADY_BAR = 1.02;
const MOST_FLOODS = 20;
/** How often each key is met before anything is measured. */
const FIRST_CALLS = 4;
const RATE = 500;
const RATE_SECONDS = 20;

type Homes = readonly { readonly name: string; readonly home: Home }[];

interface Bench {
  readonly plan: AcceptPlan;
  readonly servicePort: number;
}

const withHomes = async (run: (homes: Homes) => Promise<Verdict[]>): Promise<Verdict[]> => {
  const redis = await startRedis();
  const homes = [{ name: "embedded", home: embeddedHome() }];
  if (redis !== null) homes.push({ name: "redis", home: redis.home });
  const verdicts = await run(homes);
  await redis?.child.stop();
  return verdicts;
};

interface Compared {
  readonly cpu: readonly (readonly number[])[];
  /** What failed while every key was met for the first time; empty when nothing did. */
  readonly cold: readonly string[];
}

/** The same calls through several gateways in turns; the ratio of each to the first, round by round. */
const compare = async (
  sites: readonly { readonly site: Site; readonly tokens: readonly string[] }[],
  { rounds, progress }: AcceptPlan,
  title: string,
): Promise<Compared | string> => {
  const cpu: number[][] = sites.map(() => []);
  const cold: string[] = sites.map(() => "");
  // The first round is for keys to be met and code to be compiled.
  for (let round = -1; round < rounds; round++) {
    for (let turn = 0; turn < sites.length; turn++) {
      const at = (turn + round + sites.length) % sites.length;
      const { site, tokens } = sites[at]!;
      progress(`${title}: round ${round + 1}/${rounds}`);
      const first = round < 0 ? FIRST_CALLS * tokens.length : 0;
      // The others had their turn: keys that lay idle are in use again before it counts.
      if (round >= 0) await measure(site, tokens, LEAD_SECONDS);
      const { cpu: used, outcome, refused } = await measure(site, tokens, SECONDS, first);
      const failures = failureText(outcome.failures);
      if (round < 0) cold[at] = failures;
      else if (refused > 0 || outcome.calls === 0) return failures || "not one call came through";
      else cpu[at]!.push(used);
    }
  }
  return { cpu, cold };
};

const costText = (ours: readonly number[], base: readonly number[]): string =>
  `${pairedRatio(ours, base).toFixed(2)} (${digits(median(ours))} µs ± ${(spread(ours) * 100).toFixed(0)} % against ${digits(median(base))} µs ± ${(spread(base) * 100).toFixed(0)} %)`;

const cost = async ({ plan, servicePort }: Bench): Promise<Verdict[]> =>
  withHomes(async (homes) => {
    const name = "gate-cost";
    const claim = (home: string): string =>
      `CPU per call with key, rights, rate and quota at most ${COST_BAR} × an open API's, ${IN_USE} keys in use, ${home}`;
    const tokens = newTokens(IN_USE);
    const open = await startSite("open", servicePort, null);
    const sites = [{ site: open, tokens }];
    for (const { name: home, home: where } of homes) {
      await fill(where, tokens);
      sites.push({ site: await startSite(home, servicePort, where), tokens });
    }
    const compared = await compare(sites, plan, name);
    await Promise.all(sites.map(({ site }) => site.child.stop()));
    return homes.map(({ name: home }, n) => {
      if (typeof compared === "string") return failedVerdict(name, claim(home), compared);
      const [base, ours] = [compared.cpu[0]!, compared.cpu[n + 1]!];
      const cold = compared.cold[n + 1]!;
      const measured = costText(ours, base) + (cold === "" ? "" : `; on first sight: ${cold}`);
      return { name, claim: claim(home), measured, holds: pairedRatio(ours, base) <= COST_BAR && cold === "" };
    });
  });

const million = async ({ plan, servicePort }: Bench): Promise<Verdict[]> => {
  const verdicts: Verdict[] = [];
  for (const type of ["embedded", "redis"] as const) {
    const [few, many] = [
      type === "embedded" ? null : await startRedis(),
      type === "embedded" ? null : await startRedis(),
    ];
    if (type === "redis" && (few === null || many === null)) continue;
    const homes = [few?.home ?? embeddedHome(), many?.home ?? embeddedHome()] as const;
    const tokens = newTokens(IN_USE);
    plan.progress(`gate-million: filling ${type}`);
    await fill(homes[0], tokens);
    await fill(homes[1], [...tokens, ...newTokens(STORED - IN_USE)]);
    verdicts.push(...(await judgeMillion(type, homes, tokens, plan, servicePort)));
    await few?.child.stop();
    await many?.child.stop();
  }
  return verdicts;
};

const judgeMillion = async (
  type: string,
  [few, many]: readonly [Home, Home],
  tokens: readonly string[],
  plan: AcceptPlan,
  servicePort: number,
): Promise<Verdict[]> => {
  const name = "gate-million";
  const starts: [number[], number[]] = [[], []];
  for (let n = 0; n < STARTS; n++) {
    for (const [at, home] of [few, many].entries()) {
      plan.progress(`${name}: start ${n + 1}/${STARTS}`);
      const site = await startSite(type, servicePort, home);
      starts[at]!.push(site.startMs);
      await site.child.stop();
    }
  }
  const longer = median(starts[1].map((ms, n) => ms - starts[0][n]!));
  const sites = [
    { site: await startSite("few", servicePort, few), tokens },
    { site: await startSite("many", servicePort, many), tokens },
  ];
  const compared = await compare(sites, plan, name);
  await Promise.all(sites.map(({ site }) => site.child.stop()));
  const startClaim = `with ${STORED} stored keys start takes at most ${START_BAR_MS} ms longer, ${type}`;
  const costClaim = `with ${STORED} stored keys CPU per call stays within 10 %, ${type}`;
  const start = {
    name,
    claim: startClaim,
    measured: `${longer.toFixed(0)} ms longer (${median(starts[1]).toFixed(0)} against ${median(starts[0]).toFixed(0)} ms)`,
    holds: longer <= START_BAR_MS,
  };
  if (typeof compared === "string") return [start, failedVerdict(name, costClaim, compared)];
  const [base, ours] = [compared.cpu[0]!, compared.cpu[1]!];
  const measured = costText(ours, base);
  return [start, { name, claim: costClaim, measured, holds: pairedRatio(ours, base) <= STORED_BAR }];
};

const isSteady = (sizes: readonly number[]): boolean =>
  sizes.length > STEADY_ROUNDS &&
  Math.max(...sizes.slice(-STEADY_ROUNDS)) <= sizes[sizes.length - STEADY_ROUNDS - 1]! * STEADY_BAR;

const flood = async ({ plan, servicePort }: Bench): Promise<Verdict[]> =>
  withHomes(async (homes) => {
    const name = "gate-flood";
    const verdicts: Verdict[] = [];
    for (const { name: home, home: where } of homes) {
      const claim = `an unknown key costs less per call than a served one, and memory ends growing, ${home}`;
      const tokens = newTokens(IN_USE);
      await fill(where, tokens);
      const site = await startSite(home, servicePort, where);
      const served: number[] = [];
      const refused: number[] = [];
      const sizes: number[] = [];
      await measure(site, tokens, SECONDS, FIRST_CALLS * tokens.length);
      for (let round = 0; round < plan.rounds; round++) {
        plan.progress(`${name}: ${home} round ${round + 1}/${plan.rounds}`);
        served.push((await measure(site, tokens, SECONDS)).cpu);
        // Others in every round, and each of them once: none is remembered from before.
        refused.push((await measure(site, newTokens(FLOOD), SECONDS, FLOOD)).cpu);
        sizes.push(site.meter.residentBytes() / (1 << 20));
      }
      while (!isSteady(sizes) && sizes.length < MOST_FLOODS) {
        plan.progress(`${name}: ${home} memory, flood ${sizes.length + 1}`);
        await measure(site, newTokens(FLOOD), SECONDS, FLOOD);
        sizes.push(site.meter.residentBytes() / (1 << 20));
      }
      await site.child.stop();
      const measured = `${costText(refused, served)}; resident ${sizes.map((mib) => mib.toFixed(0)).join(", ")} MiB`;
      verdicts.push({ name, claim, measured, holds: pairedRatio(refused, served) < 1 && isSteady(sizes) });
    }
    return verdicts;
  });

const control = (site: Site, method: string, path: string, body = ""): Promise<Response> =>
  fetch(`http://127.0.0.1:${site.controlPort}${path}`, { method, body, headers: { "x-tyk-authorization": SECRET } });

/** Places as in the issue: two gateways with two workers each, or one with four. */
const placesOf = async (servicePort: number): Promise<{ name: string; sites: Site[]; stop: () => Promise<void> }[]> => {
  const places = [];
  const embedded = embeddedHome();
  await fill(embedded, []);
  const one = await startSite("embedded", servicePort, embedded, 4);
  places.push({ name: "embedded, four workers", sites: [one], stop: () => one.child.stop() });
  const redis = await startRedis();
  if (redis !== null) {
    const sites = [await startSite("a", servicePort, redis.home, 2), await startSite("b", servicePort, redis.home, 2)];
    const stop = async (): Promise<void> => {
      await Promise.all(sites.map((site) => site.child.stop()));
      await redis.child.stop();
    };
    places.push({ name: "redis, two gateways with two workers", sites, stop });
  }
  return places;
};

const makeKey = async (site: Site, more: object): Promise<string> => {
  const access_rights = { bench: { api_id: "bench", api_name: "bench", versions: ["Default"] } };
  const body = JSON.stringify({ org_id: "bench", access_rights, ...more });
  const answer = (await (await control(site, "POST", "/tyk/keys/create", body)).json()) as { key: string };
  return answer.key;
};

const revocation = async ({ plan, servicePort }: Bench): Promise<Verdict[]> => {
  const name = "gate-revocation";
  const verdicts: Verdict[] = [];
  for (const { name: place, sites, stop } of await placesOf(servicePort)) {
    const callers = await HostOfCalls.connect(
      sites.map((site) => site.port),
      8,
    );
    const took: number[] = [];
    for (let n = 0; n < REVOCATIONS; n++) {
      plan.progress(`${name}: ${place} ${n + 1}/${REVOCATIONS}`);
      const key = await makeKey(sites[0]!, {});
      const watch = callers.hammer(key, 2);
      await pause(20);
      const begun = performance.now();
      await control(sites[0]!, "DELETE", `/tyk/keys/${encodeURIComponent(key)}`);
      // Long enough that a call which still passes is seen.
      await pause(2 * REVOCATION_BAR_MS);
      const lastPassed = await watch.end();
      took.push(Math.max(0, lastPassed - begun));
    }
    callers.close();
    await stop();
    const sorted = took.sort((a, b) => a - b);
    const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1]!;
    verdicts.push({
      name,
      claim: `a deleted key's last call begins within ${REVOCATION_BAR_MS} ms of the request, p99 of ${REVOCATIONS}, ${place}`,
      measured: `p99 ${p99.toFixed(0)} ms, median ${median(sorted).toFixed(0)} ms, at most ${sorted.at(-1)!.toFixed(0)} ms`,
      holds: p99 < REVOCATION_BAR_MS,
    });
  }
  return verdicts;
};

/** Counted by the window each admission was counted in: the gateways write it down, in the mode they have for tests. */
const rate = async ({ plan, servicePort }: Bench): Promise<Verdict[]> => {
  const name = "gate-rate";
  const verdicts: Verdict[] = [];
  const folder = stampFolder();
  process.env[STAMPS_VARIABLE] = folder;
  for (const { name: place, sites, stop } of await placesOf(servicePort)) {
    plan.progress(`${name}: ${place}`);
    const callers = await HostOfCalls.connect(
      sites.map((site) => site.port),
      8,
    );
    const key = await makeKey(sites[0]!, { rate: RATE, per: 1 });
    const { strange } = await callers.paced(key, 4 * RATE, RATE_SECONDS * 1_000);
    callers.close();
    await stop();
    const windows = takeWindows(folder, `/${RATE}/1000`);
    const fullest = Math.max(0, ...windows);
    // The first and the last were under load for a part of their time.
    const whole = windows.slice(1, -1);
    const used = whole.reduce((sum, count) => sum + count, 0) / (RATE * Math.max(1, whole.length));
    verdicts.push({
      name,
      claim: `a rate of ${RATE} per second under 4 × load for ${RATE_SECONDS} s: no window over it, at least 98 % used, ${place}`,
      measured: `at most ${fullest} in a window, ${(used * 100).toFixed(1)} % used in ${whole.length} whole windows, at least ${Math.min(RATE, ...whole)} in one${strange === "" ? "" : `; ${strange}`}`,
      holds: fullest <= RATE && used >= 0.98 && whole.length >= RATE_SECONDS - 2 && strange === "",
    });
  }
  delete process.env[STAMPS_VARIABLE];
  return verdicts;
};

const LINES: Readonly<Record<string, (bench: Bench) => Promise<Verdict[]>>> = {
  "gate-cost": cost,
  "gate-million": million,
  "gate-flood": flood,
  "gate-revocation": revocation,
  "gate-rate": rate,
};

export const gateClaims: ClaimGroup = {
  names: Object.keys(LINES),
  run: async (wanted, plan) => {
    const service = await startService();
    const verdicts: Verdict[] = [];
    for (const name of wanted) {
      try {
        verdicts.push(...(await LINES[name]!({ plan, servicePort: service.port })));
      } catch (error) {
        verdicts.push(failedVerdict(name, "could be judged", error instanceof Error ? error.message : String(error)));
      }
    }
    await service.child.stop();
    return verdicts;
  },
};
