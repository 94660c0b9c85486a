/**
 * The acceptance lines about basic authentication: 500 users at once whose passwords have to be hashed, and a flood of wrong
 * passwords, each beside a user who is known already and calls at a steady rate. One worker with one thread, on one core.
 * Must not know how a gateway is started (gate-site.ts).
 */
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { hashSync } from "@node-rs/bcrypt";
import { generateToken } from "../../src/shared/keys/token.js";
import { pause, startChild } from "../children.js";
import { storeKeys } from "../keys.js";
import { ECHO_PATH } from "../load/message.js";
import { echoOrder } from "../load/order.js";
import { runOwnClient } from "../load/run-client.js";
import { failureText, type Outcome } from "../outcome.js";
import { placeOnCores } from "../stage.js";
import type { BurstReport } from "./burst-process.js";
import { type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { embeddedHome, type Site, session, startService, startSite } from "./gate-site.js";

const USERS = 500;
/** Every so many of the users gives a wrong password. */
const WRONG = 10;
const FLOOD = 5_000;
/** What waits and what runs: the queue of the thread pool, the thread, and the job behind it. */
const QUEUE = 1_024 + 2;
const COST = 10;
const PASSWORD = "correct horse";
const DEADLINE_MS = 120_000;
const STEADY_RATE = 200;
const QUIET_SECONDS = 10;
const FLOOD_SECONDS = 20;
const P99_FACTOR = 3;
const P99_FLOOR_US = 15_000;
/** The surplus is refused within this, however many they are. */
const AT_ONCE_MS = 2_000;
/** So many that none of them has more calls than a connection may have at once. */
const CONNECTIONS = 60;

const basicOf = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

const same = (bytes: Buffer): Buffer => bytes;

interface Done {
  readonly code: number;
  /** After the first call of the burst began. */
  readonly ms: number;
}

class Burst {
  private readonly clients: readonly Client[];

  constructor(port: number) {
    this.clients = Array.from(
      { length: CONNECTIONS },
      () =>
        new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
          "grpc.use_local_subchannel_pool": 1,
          "grpc.enable_retries": 0,
        }),
    );
  }

  /** All at once. */
  send(authorizations: readonly string[]): Promise<Done[]> {
    const begun = performance.now();
    const call = (authorization: string, n: number): Promise<Done> =>
      new Promise((resolve) => {
        const metadata = new Metadata();
        metadata.set("authorization", authorization);
        const options = { deadline: Date.now() + DEADLINE_MS };
        const client = this.clients[n % CONNECTIONS]!;
        const made = client.makeUnaryRequest(
          ECHO_PATH,
          same,
          same,
          Buffer.alloc(0),
          metadata,
          options,
          () => undefined,
        );
        made.on("status", ({ code }) => {
          resolve({ code, ms: performance.now() - begun });
        });
      });
    return Promise.all(authorizations.map(call));
  }

  close(): void {
    for (const client of this.clients) client.close();
  }
}

/** A known user's calls on a fixed schedule: what started late counts with the time it had waited. */
const steady = (site: Site, seconds: number): Promise<Outcome> =>
  runOwnClient(
    echoOrder(site.port, {
      streams: 32,
      rate: STEADY_RATE,
      tolerant: true,
      seconds,
      authorizations: [basicOf("known", PASSWORD)],
    }),
    placeOnCores().load,
  );

const countOf = (done: readonly Done[], code: number): number => done.filter((each) => each.code === code).length;

const codesOf = (done: readonly Done[]): string =>
  [...new Set(done.map(({ code }) => code))].map((code) => `${countOf(done, code)} ${status[code]}`).join(", ");

const steadyVerdict = (name: string, during: string, quiet: Outcome, loaded: Outcome): Verdict => {
  const bar = Math.max(P99_FACTOR * (quiet.latency?.p99 ?? 0), P99_FLOOR_US);
  const p99 = loaded.latency?.p99 ?? Number.POSITIVE_INFINITY;
  const failures = failureText(loaded.failures);
  const ms = (us: number): string => (us / 1_000).toFixed(1);
  return {
    name,
    claim: `a known user's p99 stays under max(${P99_FACTOR} × quiet, ${P99_FLOOR_US / 1_000} ms) ${during}`,
    measured: `${ms(p99)} ms, quiet ${ms(quiet.latency?.p99 ?? 0)} ms, ${loaded.calls} calls${failures === "" ? "" : `; ${failures}`}`,
    holds: p99 <= bar && failures === "" && loaded.calls > 0,
  };
};

const manyUsers = async (site: Site, quiet: Outcome): Promise<Verdict[]> => {
  const name = "passwords-many";
  const burst = new Burst(site.port);
  const isWrong = (n: number): boolean => n % WRONG === 0;
  const given = Array.from({ length: USERS }, (_, n) => basicOf(`user-${n}`, isWrong(n) ? "wrong" : PASSWORD));
  const asked = burst.send(given);
  // As long as the hashes take: beside them and not after them.
  const loaded = await steady(site, FLOOD_SECONDS);
  const done = await asked;
  burst.close();
  const right = done.every(({ code }, n) => code === (isWrong(n) ? status.UNAUTHENTICATED : status.OK));
  const last = Math.max(...done.map(({ ms }) => ms));
  return [
    {
      name,
      claim: `${USERS} users at once, bcrypt cost ${COST}, one thread: all answered rightly within ${DEADLINE_MS / 1_000} s`,
      measured: `${codesOf(done)}, the last after ${(last / 1_000).toFixed(1)} s`,
      holds: right,
    },
    steadyVerdict(name, "meanwhile", quiet, loaded),
  ];
};

const BURST_NICENESS = 5;
/** The steady calls are under way by then: a flood is measured from its first moment on. */
const BEFORE_MS = 1_500;

/** All the wrong passwords at once, from a process that costs the known user's caller, beside it, as little as can be. */
const sendFlood = async (port: number): Promise<BurstReport> => {
  const authorizations = Array.from({ length: FLOOD }, (_, n) => basicOf(`user-${n % USERS}`, `wrong ${n}`));
  // Less than the steady calls take: what is queued need not be waited for.
  const seconds = FLOOD_SECONDS - (2 * BEFORE_MS) / 1_000;
  const order = echoOrder(port, { connections: CONNECTIONS, streams: FLOOD, calls: FLOOD, seconds, authorizations });
  const file = fileURLToPath(new URL("./burst-process.js", import.meta.url));
  const command = { file: process.execPath, args: [file] };
  const child = startChild("burst", command, placeOnCores().load, `${JSON.stringify(order)}\n`, true);
  // Behind the callers who are timed on the same core, as the storm of handshakes is.
  setPriority(child.pid, BURST_NICENESS);
  let printed = "";
  child.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const closed = new Promise((resolve) => child.process.once("close", resolve));
  await pause(BEFORE_MS);
  child.process.stdin?.end();
  await closed;
  try {
    return JSON.parse(printed.slice(printed.indexOf("\n") + 1)) as BurstReport;
  } catch {
    throw new Error(`the burst has no report: ${child.output().trim().slice(-300)}`);
  }
};

const flood = async (site: Site, quiet: Outcome): Promise<Verdict[]> => {
  const name = "passwords-flood";
  const [report, loaded] = await Promise.all([sendFlood(site.port), steady(site, FLOOD_SECONDS)]);
  const ends = (code: number) => report[String(code)] ?? { count: 0, last: 0 };
  const refused = ends(status.RESOURCE_EXHAUSTED);
  const wrong = ends(status.UNAUTHENTICATED);
  const expected = new Set([status.RESOURCE_EXHAUSTED, status.UNAUTHENTICATED].map(String));
  const strange = Object.keys(report).filter((code) => !expected.has(code));
  const codes = Object.entries(report).map(([code, { count }]) => `${count} ${status[Number(code)] ?? code}`);
  const bounded = refused.count >= FLOOD - QUEUE - wrong.count;
  return [
    {
      name,
      claim: `of ${FLOOD} wrong passwords at once no more than ${QUEUE} wait; the surplus is RESOURCE_EXHAUSTED within ${AT_ONCE_MS / 1_000} s`,
      measured: `${codes.join(", ")}, the last refusal after ${refused.last.toFixed(0)} ms`,
      holds: bounded && refused.count > 0 && strange.length === 0 && refused.last <= AT_ONCE_MS,
    },
    steadyVerdict(name, "during the flood", quiet, loaded),
  ];
};

const LINES = { "passwords-many": manyUsers, "passwords-flood": flood } as const;

export const passwordClaims: ClaimGroup = {
  names: Object.keys(LINES),
  run: async (wanted, plan) => {
    const service = await startService();
    const verdicts: Verdict[] = [];
    const users = ["known", ...Array.from({ length: USERS }, (_, n) => `user-${n}`)];
    const tokens = users.map((user) => generateToken(session.org_id, user, "sha256"));
    const stored = {
      ...session,
      basic_auth_data: { password: hashSync(PASSWORD, { cost: COST }), hash_type: "bcrypt" },
    };
    for (const name of wanted as (keyof typeof LINES)[]) {
      try {
        plan.progress(name);
        // Each on a gateway of its own, so that no verdict is remembered from before.
        const home = embeddedHome();
        await storeKeys(home, tokens, stored);
        const basic = {
          use_standard_auth: false,
          use_basic_auth: true,
          auth_configs: {},
          basic_auth: { cache_ttl: 600 },
        };
        const site = await startSite(name, service.port, home, 1, basic);
        await steady(site, 2);
        const quiet = await steady(site, QUIET_SECONDS);
        verdicts.push(...(await LINES[name](site, quiet)));
        await site.child.stop();
      } catch (error) {
        verdicts.push(failedVerdict(name, "could be judged", error instanceof Error ? error.message : String(error)));
      }
    }
    await service.child.stop();
    return verdicts;
  },
};
