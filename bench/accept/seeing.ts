/**
 * The lines about what it costs to see what happens: the same calls through gateways of one build, with nothing on, with nothing on once
 * more (the floor: how far a gateway is from its own twin), with metrics, and with metrics, traces and questions about connections.
 * Must not know how any of it is counted. Governed by issue 6, "seeing".
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pause } from "../children.js";
import { echoOrder, type LoadOrder } from "../load/order.js";
import { runOwnClient } from "../load/run-client.js";
import { failureText, type Outcome } from "../outcome.js";
import { placeOnCores } from "../stage.js";
import { median, pairedRatio, signedRank, spread } from "../statistics.js";
import { digits } from "../table.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { SECRET, type Site, startService, startSite } from "./gate-site.js";

const NAMES = ["seeing", "seeing-metrics"] as const;
const BAR = 1.15;
const SHARE = 0.01;
/** How often Prometheus asks: each measured run is as long, and is asked once. */
const SCRAPE_SECONDS = 5;
/** What warming up may take. */
const WARM_SECONDS = 60;
/** What the bound on spans is set to: it must not be what makes them cheap. */
const MANY = 100_000;

const LOADS = [
  { name: "10×100", connections: 10, streams: 100, warm: 200_000 },
  { name: "100×1", connections: 100, streams: 1, warm: 50_000 },
] as const;

const MODES = ["off", "twin", "metrics", "all"] as const;
type Mode = (typeof MODES)[number];

/** What they are about, and against what nothing is on. */
const SUBJECT: Readonly<Record<(typeof NAMES)[number], { readonly mode: Mode; readonly title: string }>> = {
  seeing: {
    mode: "all",
    title: `metrics scraped every ${SCRAPE_SECONDS} s, ${SHARE * 100} % of the calls traced, connections asked for`,
  },
  "seeing-metrics": { mode: "metrics", title: `metrics scraped every ${SCRAPE_SECONDS} s` },
};

/** Takes spans, as a collector would. */
class Sink {
  octets = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      request.on("data", (chunk: Buffer) => {
        this.octets += chunk.length;
      });
      request.on("end", () => response.setHeader("content-type", "application/json").end("{}"));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/traces`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const settingsOf = (mode: Mode, endpoint: string): object => ({
  metrics: { enabled: mode === "metrics" || mode === "all" },
  access_logs: { enabled: false },
  opentelemetry: {
    enabled: mode === "all",
    exporter: "http",
    endpoint,
    sampling: { type: "TraceIDRatioBased", rate: SHARE },
    max_per_second: MANY,
  },
});

/** What came of a question to the control port; the answer is read as a whole. */
const ask = async (site: Site, path: string): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${site.controlPort}${path}`, {
    headers: { "x-tyk-authorization": SECRET },
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${path} was answered with ${answer.status}`);
  return text;
};

/** Who looks on while calls run. */
const lookOn = async (site: Site, mode: Mode): Promise<void> => {
  if (mode === "off" || mode === "twin") return;
  await pause((SCRAPE_SECONDS * 1_000) / 2);
  await ask(site, "/metrics");
  if (mode === "all") await ask(site, "/tyk/debug/connections");
};

interface Run {
  readonly cpu: number;
  readonly outcome: Outcome;
}

const runOnce = async (site: Site, mode: Mode, order: LoadOrder): Promise<Run> => {
  const before = site.meter.readNs();
  const [outcome] = await Promise.all([runOwnClient(order, placeOnCores().load), lookOn(site, mode)]);
  const cpu = (site.meter.readNs() - before) / 1_000 / Math.max(1, outcome.calls);
  const failures = failureText(outcome.failures);
  if (failures !== "" || outcome.calls === 0) throw new Error(failures || "not one call came through");
  return { cpu, outcome };
};

type Costs = ReadonlyMap<Mode, number[]>;

const compare = async (
  sites: ReadonlyMap<Mode, Site>,
  load: (typeof LOADS)[number],
  plan: AcceptPlan,
): Promise<Costs> => {
  const costs = new Map<Mode, number[]>(MODES.map((mode) => [mode, []]));
  const modes = [...sites.keys()];
  const { connections, streams } = load;
  // The first round is for code to be compiled: so many calls, however long they take on a busy machine.
  for (let round = -1; round < plan.rounds; round++) {
    for (let turn = 0; turn < modes.length; turn++) {
      const mode = modes[(turn + round + modes.length) % modes.length]!;
      const site = sites.get(mode)!;
      plan.progress(`seeing ${load.name}: round ${round + 1}/${plan.rounds} ${mode}`);
      const length = round < 0 ? { calls: load.warm, seconds: WARM_SECONDS } : { seconds: SCRAPE_SECONDS };
      const { cpu } = await runOnce(site, mode, echoOrder(site.port, { connections, streams, ...length }));
      if (round >= 0) costs.get(mode)!.push(cpu);
    }
  }
  return costs;
};

/** Of the gateway with traces; a line about spans that never left would say nothing. */
const sumOf = (text: string, name: string, labels: string): number =>
  Number(new RegExp(`^${name}\\{${labels}\\} (\\d+)`, "m").exec(text)?.[1] ?? 0);

const untold = async (site: Site, sink: Sink): Promise<string> => {
  const text = await ask(site, "/metrics");
  const [sent, failed, dropped] = ["sent", "failed", "dropped"].map((outcome) =>
    sumOf(text, "sluice_spans_total", `outcome="${outcome}"`),
  ) as [number, number, number];
  const calls = [...text.matchAll(/^sluice_calls_total\{[^}]*\} (\d+)/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
  if (sink.octets === 0) return "no span came to the collector";
  // What the last second sampled may be under way.
  if (failed + dropped > 0 || sent < (calls * SHARE) / 2)
    return `of ${calls} calls ${sent} spans were sent, ${failed} failed, ${dropped} were dropped`;
  return "";
};

const about = (values: readonly number[]): string =>
  `${digits(median(values))} µs ± ${(spread(values) * 100).toFixed(0)} %`;

const judge = (name: (typeof NAMES)[number], load: string, costs: Costs): Verdict => {
  const { mode, title } = SUBJECT[name];
  const [off, twin, ours] = [costs.get("off")!, costs.get("twin")!, costs.get(mode)!];
  // No two processes of one build cost the same: both of them are what is compared with.
  const without = off.map((cost, round) => (cost + twin[round]!) / 2);
  const ratio = pairedRatio(ours, without);
  return {
    name,
    claim: `${title}: CPU per call at most ${BAR.toFixed(2)} × the same gateway's without, ${load}`,
    measured: `${ratio.toFixed(2)} (${about(ours)} against ${about(without)}, p = ${signedRank(ours, without).toFixed(2)}); floor: of two without ${pairedRatio(twin, off).toFixed(2)}`,
    holds: ratio <= BAR,
  };
};

export const seeingClaims: ClaimGroup = {
  names: NAMES,
  run: async (wanted, plan) => {
    const service = await startService();
    const sink = new Sink();
    const sites = new Map<Mode, Site>();
    const verdicts: Verdict[] = [];
    try {
      const endpoint = await sink.listen();
      const modes = MODES.filter((mode) => mode !== "metrics" || wanted.includes("seeing-metrics"));
      for (const mode of modes.filter((mode) => mode !== "all" || wanted.includes("seeing")))
        sites.set(mode, await startSite(mode, service.port, null, 1, {}, settingsOf(mode, endpoint)));
      for (const load of LOADS) {
        const costs = await compare(sites, load, plan);
        for (const name of NAMES) if (wanted.includes(name)) verdicts.push(judge(name, load.name, costs));
      }
      const traced = sites.get("all");
      const wanting = traced === undefined ? "" : await untold(traced, sink);
      if (wanting !== "") verdicts.push(failedVerdict("seeing", "what is on is used", wanting));
    } catch (error) {
      verdicts.push(
        failedVerdict(wanted[0]!, "could be judged", error instanceof Error ? error.message : String(error)),
      );
    } finally {
      await Promise.all([...sites.values()].map(({ child }) => child.stop()));
      sink.close();
      await service.child.stop();
    }
    return verdicts;
  },
};
