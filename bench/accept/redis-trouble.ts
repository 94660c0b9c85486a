/**
 * The acceptance line about trouble with Redis under load: killed and restarted, restarted empty, frozen for five seconds, five times
 * over. Which calls fail, how long any of them waits, and whether the workers' memory ends growing. Governed by issue 4.
 * Must not know how calls are made (trouble-callers.ts) or gateways started (gate-site.ts).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { status } from "@grpc/grpc-js";
import { type Child, freePort, onPath, pause, startChild, untilListening } from "../children.js";
import { cpuMeter, processTree } from "../cpu.js";
import { placeOnCores, scratchFolder } from "../stage.js";
import { median } from "../statistics.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { measure, newTokens, SECRET, type Site, startService, startSite } from "./gate-site.js";
import { type Call, TroubleCallers, tally } from "./trouble-callers.js";

const NAME = "redis-trouble";
const WORKERS = 2;
const REPETITIONS = 5;
/** Memory after this one is what the last is compared with: code is compiled then, caches are made. */
const SETTLED = 2;
const AWAY_MS = 2_000;
const FROZEN_MS = 5_000;
const CALM_MS = 3_000;
/** `storage.timeout` as it is unless set. */
const COMMAND_MS = 1_000;
const BAR_MS = 20;
const RSS_SHARE = 1.05;
const RSS_MORE = 10;
const MIB = 1 << 20;
const PATIENCE_MS = 30_000;
const POLL_MS = 1_000;
const SETTLED_CALLS = 40;
const DAY = 86_400;
const WARM_UP_SECONDS = 10;
const STRANGERS = 20_000;

const TROUBLES = ["killed", "emptied", "frozen"] as const;
type Trouble = (typeof TROUBLES)[number];
const TITLES: Readonly<Record<Trouble, string>> = {
  killed: "killed and restarted",
  emptied: "killed and restarted empty",
  frozen: `frozen for ${FROZEN_MS / 1_000} s`,
};

/** Writes everything to its folder before it answers, and can be killed, frozen and robbed of its data. */
class MortalRedis {
  readonly port: number;
  readonly #folder = mkdtempSync(join(scratchFolder(), "redis-"));
  #child!: Child;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<MortalRedis> {
    const redis = new MortalRedis(await freePort());
    await redis.again();
    return redis;
  }

  async again(): Promise<void> {
    const words = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#folder, "--save", ""];
    const args = [...words, "--appendonly", "yes", "--appendfsync", "always"];
    this.#child = startChild("redis-server", { file: "redis-server", args }, placeOnCores().load);
    await untilListening(this.#child, this.port);
  }

  async kill(): Promise<void> {
    process.kill(this.#child.pid, "SIGKILL");
    await this.#child.ended;
  }

  forget(): void {
    rmSync(join(this.#folder, "appendonlydir"), { recursive: true, force: true });
  }

  freeze(): void {
    process.kill(this.#child.pid, "SIGSTOP");
  }

  thaw(): void {
    process.kill(this.#child.pid, "SIGCONT");
  }
}

interface Found {
  readonly calls: Record<Trouble, Call[]>;
  readonly wrong: Record<Trouble, string[]>;
  longest: Record<Trouble, number>;
  /** Resident MiB of each worker after each repetition. */
  readonly sizes: number[][];
  /** The largest delay of a worker's loop, and of this process's, ms. */
  workerDelay: number;
}

const KEYS = { known: "known-key-of-the-bench", counted: "counted-key-of-the-bench" } as const;

const control = (site: Site, method: string, path: string, body = ""): Promise<Response> =>
  fetch(`http://127.0.0.1:${site.controlPort}${path}`, {
    method,
    headers: { "x-tyk-authorization": SECRET },
    ...(method === "GET" ? {} : { body }),
  });

const until = async (what: string, holds: () => Promise<boolean> | boolean): Promise<void> => {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await pause(POLL_MS / 20))
    if (await holds()) return;
  throw new Error(`waited in vain until ${what}`);
};

/** Both keys under their names, as they were before where they exist. */
const makeKeys = (site: Site): Promise<void> =>
  until("the keys can be made", async () => {
    const access_rights = { bench: { api_id: "bench", api_name: "bench", versions: ["Default"] } };
    const quota = { quota_max: 1_000_000_000, quota_renewal_rate: DAY };
    const answers = await Promise.all(
      Object.entries(KEYS).map(([kind, key]) => {
        const session = { org_id: "bench", access_rights, ...(kind === "counted" ? quota : {}) };
        return control(site, "POST", `/tyk/keys/${key}?suppress_reset=1`, JSON.stringify(session));
      }),
    );
    return answers.every((answer) => answer.ok);
  });

/** The largest since somebody asked last; the gateway itself asks too, which hides at most the part before. */
const loopDelay = async (site: Site): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${site.controlPort}/metrics`)).text();
  return Number(/^sluice_event_loop_delay_seconds\{quantile="1"\} (\S+)/m.exec(text)?.[1] ?? 0) * 1_000;
};

const lastAre = (callers: TroubleCallers, kind: Call["kind"], code: status): boolean => {
  const last = callers.lately(kind, SETTLED_CALLS);
  return last.length === SETTLED_CALLS && last.every((call) => call.code === code);
};

class Trial {
  readonly found: Found = {
    calls: { killed: [], emptied: [], frozen: [] },
    wrong: { killed: [], emptied: [], frozen: [] },
    longest: { killed: 0, emptied: 0, frozen: 0 },
    sizes: [],
    workerDelay: 0,
  };
  readonly #site: Site;
  readonly #redis: MortalRedis;
  readonly #callers: TroubleCallers;

  constructor(site: Site, redis: MortalRedis, callers: TroubleCallers) {
    this.#site = site;
    this.#redis = redis;
    this.#callers = callers;
  }

  /** One after the other; from each to the next everything is as it was before the first. */
  async repeat(): Promise<void> {
    for (const trouble of TROUBLES) {
      this.#callers.take();
      const { from, to } = await (trouble === "frozen" ? this.#freeze() : this.#kill(trouble));
      await until("unknown keys are unknown again", () => lastAre(this.#callers, "unknown", status.UNAUTHENTICATED));
      // A Redis that forgot the keys is told them before anybody is judged by them again.
      if (trouble !== "emptied") await until("quotas are counted", () => lastAre(this.#callers, "counted", status.OK));
      this.#judge(trouble, this.#callers.take(), from, to);
      if (trouble === "emptied") {
        await makeKeys(this.#site);
        for (const kind of ["known", "counted"] as const)
          await until(`keys are ${kind} again`, () => lastAre(this.#callers, kind, status.OK));
      }
    }
    await pause(CALM_MS);
    this.found.sizes.push(await this.#sizes());
  }

  /** Resolves with the moments between which nobody could ask Redis. */
  async #kill(trouble: Trouble): Promise<{ from: number; to: number }> {
    await this.#redis.kill();
    const from = performance.now();
    await pause(AWAY_MS);
    if (trouble === "emptied") this.#redis.forget();
    const to = performance.now();
    await this.#redis.again();
    return { from, to };
  }

  async #freeze(): Promise<{ from: number; to: number }> {
    this.#redis.freeze();
    const from = performance.now();
    await pause(FROZEN_MS);
    const to = performance.now();
    this.#redis.thaw();
    return { from, to };
  }

  #judge(trouble: Trouble, calls: readonly Call[], from: number, to: number): void {
    const { wrong, longest } = this.found;
    const note = (call: Call): void => {
      const after = ((call.begun - from) / 1_000).toFixed(2);
      wrong[trouble].push(`${call.kind} ${status[call.code]} "${call.details}" after ${after} s`);
    };
    for (const call of calls) {
      const { kind, code, begun, ended } = call;
      longest[trouble] = Math.max(longest[trouble], ended - begun);
      const away = begun >= from && ended <= to;
      if (kind === "known") {
        // One that came back empty does not know the key: that is what it is asked for, not a failure.
        if (code !== status.OK && (trouble !== "emptied" || ended <= to)) note(call);
      } else if (kind === "unknown") {
        if (code !== status.UNAVAILABLE && (away || code !== status.UNAUTHENTICATED)) note(call);
      } else if (code !== status.OK && code !== status.UNAVAILABLE && (trouble !== "emptied" || ended <= to))
        note(call);
    }
    this.found.calls[trouble].push(...calls);
  }

  /** Medians of a moment: a single reading may be before or after a collection of garbage. */
  async #sizes(): Promise<number[]> {
    const workers = processTree(this.#site.child.pid).filter((pid) => pid !== this.#site.child.pid);
    const readings: number[][] = workers.map(() => []);
    for (let n = 0; n < 10; n++) {
      for (const [at, pid] of workers.entries()) readings[at]!.push(cpuMeter(pid).residentBytes() / MIB);
      await pause(POLL_MS / 5);
    }
    return readings.map(median);
  }
}

const judged = ({ found, ownDelay }: { found: Found; ownDelay: number }, output: string): Verdict[] => {
  const bar = COMMAND_MS + BAR_MS + found.workerDelay + ownDelay;
  const verdicts: Verdict[] = TROUBLES.map((trouble) => {
    const wrong = found.wrong[trouble];
    const longest = found.longest[trouble];
    return {
      name: NAME,
      claim: `Redis ${TITLES[trouble]}, ${REPETITIONS} times: no call of a known key fails, unknown ones are UNAVAILABLE, none waits longer than the command timeout of ${COMMAND_MS} ms, ${BAR_MS} ms and the loops' delays`,
      measured: `${tally(found.calls[trouble])}; ${wrong.length} otherwise${wrong.length > 0 ? ` (${wrong.slice(0, 3).join("; ")})` : ""}; the longest took ${longest.toFixed(0)} ms, a worker's loop was late by up to ${found.workerDelay.toFixed(0)} ms, this one by ${ownDelay.toFixed(0)}`,
      holds: wrong.length === 0 && longest <= bar,
    };
  });
  const [settled, last] = [found.sizes[SETTLED - 1] ?? [], found.sizes.at(-1) ?? []];
  const text = (sizes: readonly number[]): string => sizes.map((mib) => mib.toFixed(0)).join(" and ");
  const loud = /unhandled|uncaught|Warning:/i.exec(output)?.[0];
  verdicts.push({
    name: NAME,
    claim: `each worker's memory after ${REPETITIONS} repetitions is within 5 % and ${RSS_MORE} MiB of that after ${SETTLED}, and nobody leaves an error unhandled`,
    measured: `resident after each: ${found.sizes.map(text).join(", ")} MiB${loud === undefined ? "" : `; its output has "${loud}"`}`,
    holds:
      last.length === WORKERS &&
      last.every((mib, at) => mib <= (settled[at] ?? 0) * RSS_SHARE + RSS_MORE) &&
      loud === undefined,
  });
  return verdicts;
};

/** Reads the workers' delay once a second for as long as `running` takes. */
const watching = async (site: Site, found: Found, running: Promise<void>): Promise<void> => {
  let over = false;
  const done = running.finally(() => {
    over = true;
  });
  while (!over) {
    found.workerDelay = Math.max(found.workerDelay, await loopDelay(site));
    await Promise.race([pause(POLL_MS), done]);
  }
  await done;
};

const allRepetitions = async (servicePort: number, plan: AcceptPlan): Promise<Verdict[]> => {
  const redis = await MortalRedis.start();
  const site = await startSite(NAME, servicePort, { type: "redis", host: "127.0.0.1", port: redis.port }, WORKERS);
  await makeKeys(site);
  plan.progress(`${NAME}: warming up`);
  // The room for young objects grows with what survives collections: at the few calls below it would still grow in the last repetition.
  await measure(site, Object.values(KEYS), WARM_UP_SECONDS);
  await measure(site, newTokens(STRANGERS), WARM_UP_SECONDS, STRANGERS);
  const callers = await TroubleCallers.start(site.port, KEYS);
  for (const kind of ["known", "counted"] as const)
    await until(`keys are ${kind}`, () => lastAre(callers, kind, status.OK));
  await pause(CALM_MS);
  const trial = new Trial(site, redis, callers);
  const own = monitorEventLoopDelay({ resolution: 2 });
  own.enable();
  const repetitions = async (): Promise<void> => {
    for (let n = 1; n <= REPETITIONS; n++) {
      plan.progress(`${NAME}: repetition ${n}/${REPETITIONS}`);
      await trial.repeat();
    }
  };
  await watching(site, trial.found, repetitions());
  own.disable();
  await callers.stop();
  await site.child.stop();
  await redis.kill();
  return judged({ found: trial.found, ownDelay: own.max / 1e6 }, site.child.output());
};

export const redisTroubleClaims: ClaimGroup = {
  names: [NAME],
  run: async (_wanted, plan) => {
    if (onPath("redis-server") === null) return [failedVerdict(NAME, "could be judged", "redis-server is not here")];
    const service = await startService();
    try {
      return await allRepetitions(service.port, plan);
    } catch (error) {
      return [failedVerdict(NAME, "could be judged", error instanceof Error ? error.message : String(error))];
    } finally {
      await service.child.stop();
    }
  },
};
