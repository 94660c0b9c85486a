/** The command line of the bench: what may be said, and a usage message for everything else. Must not know how it is carried out. */
import { parseArgs } from "node:util";
import { PEERS } from "./peers/all.js";
import { SCENARIOS } from "./scenarios.js";

export interface Options {
  readonly quick: boolean;
  readonly scenarios: readonly string[];
  readonly peers: readonly string[];
  readonly json: boolean;
  readonly profile: boolean;
  readonly client: "own" | "h2load" | "grpc-js" | null;
  readonly base: string | null;
  readonly rounds: number;
  readonly seconds: number;
  /** null = by scenario and machine. */
  readonly processes: number | null;
  readonly keep: boolean;
  readonly readme: boolean;
}

export class UsageError extends Error {}

export const USAGE = `usage: npm run bench -- [options]
  --quick            unary calls at four shapes, with deadlines, and 1 MB replies: under 3 minutes
  --scenario NAME    only this scenario (may be repeated)
  --peer NAME        only this proxy beside Sluice (may be repeated); "none" = Sluice alone
  --client NAME      drive with own | h2load | grpc-js instead of what the scenario prefers
  --rounds N         how often each pair is repeated (default 3 with --quick, 5 otherwise, 9 with --base)
  --seconds N        how long one round lasts (default 1 with --quick, 2 otherwise)
  --load-processes N processes of our client, or threads of h2load, that share the load (default by scenario: as many as it takes to
                     saturate the proxy, where there are cores for them)
  --base REV         compare this revision of Sluice with the working tree
  --profile          also take a CPU profile of one worker under each scenario and print the top functions
  --json             print the results as JSON lines and nothing else on stdout
  --readme           put the table into README.md, if nothing failed
  --no-keep          do not write to bench/results and bench/report.html
scenarios: ${SCENARIOS.map((scenario) => scenario.name).join(", ")}
peers:     ${PEERS.map((peer) => peer.name).join(", ")}`;

const known = (what: string, names: readonly string[], allowed: readonly string[]): readonly string[] => {
  for (const name of names) {
    if (!allowed.includes(name)) throw new UsageError(`unknown ${what} "${name}"; known: ${allowed.join(", ")}`);
  }
  return names;
};

const positive = (name: string, value: string | undefined, fallback: number): number => {
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!(number > 0 && number <= 1000)) throw new UsageError(`--${name} takes a number from 1 to 1000, not "${value}"`);
  return number;
};

const CLIENTS = ["own", "h2load", "grpc-js"] as const;

export const readOptions = (args: readonly string[]): Options => {
  let values: Record<string, string | boolean | (string | boolean)[] | undefined>;
  try {
    values = parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean" },
        scenario: { type: "string", multiple: true },
        peer: { type: "string", multiple: true },
        client: { type: "string" },
        rounds: { type: "string" },
        seconds: { type: "string" },
        "load-processes": { type: "string" },
        base: { type: "string" },
        profile: { type: "boolean" },
        json: { type: "boolean" },
        "no-keep": { type: "boolean" },
        readme: { type: "boolean" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values.help === true) throw new UsageError("");
  const list = (name: string): string[] => (values[name] as string[] | undefined) ?? [];
  const quick = values.quick === true;
  const base = (values.base as string | undefined) ?? null;
  const client = values.client === undefined ? null : known("client", [values.client as string], CLIENTS)[0]!;
  const rounds = positive("rounds", values.rounds as string | undefined, base !== null ? 9 : quick ? 3 : 5);
  if (!Number.isInteger(rounds)) throw new UsageError("--rounds takes a whole number");
  const processes = values["load-processes"] as string | undefined;
  if (
    processes !== undefined &&
    !(Number.isInteger(Number(processes)) && Number(processes) > 0 && Number(processes) <= 64)
  )
    throw new UsageError(`--load-processes takes a whole number from 1 to 64, not "${processes}"`);
  return {
    quick,
    scenarios: known(
      "scenario",
      list("scenario"),
      SCENARIOS.map((scenario) => scenario.name),
    ),
    peers: known("peer", list("peer"), [...PEERS.map((peer) => peer.name), "none"]),
    json: values.json === true,
    profile: values.profile === true,
    client: client as Options["client"],
    base,
    rounds,
    seconds: positive("seconds", values.seconds as string | undefined, quick ? 1 : 2),
    processes: processes === undefined ? null : Number(processes),
    keep: values["no-keep"] !== true,
    readme: values.readme === true,
  };
};
