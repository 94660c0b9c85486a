// What the operator typed, as a value.
// Responsible for the grammar and the usage text. Must not know: what a command does. Runs: once.

import { parseArgs } from "node:util";

export type Command =
  | { readonly name: "start"; readonly conf: string | undefined; readonly workers: number | undefined }
  | { readonly name: "lint"; readonly conf: string | undefined }
  | {
      readonly name: "keys";
      readonly action: "export" | "import";
      readonly conf: string | undefined;
      readonly file: string;
    }
  | {
      readonly name: "explain";
      readonly conf: string | undefined;
      /** As typed; what is missing has its default later. */
      readonly question: Readonly<Record<string, unknown>>;
      readonly json: boolean;
    }
  | { readonly name: "version" }
  | { readonly name: "help" }
  | { readonly name: "wrong"; readonly problem: string };

export const USAGE = `Sluice, a gRPC gateway.

usage: sluice start [--conf FILE] [--workers N]   serve until SIGTERM or SIGINT
       sluice lint  [--conf FILE]                 check settings and definitions; exit code 1 lists every problem
       sluice keys  export|import [--conf FILE] [--file FILE]
                                                  keys of the store as lines of JSON, to or from FILE or the pipe
       sluice explain --path [http://HOST:PORT]/pkg.Service/Method [--conf FILE] [--port P] [--authority A] [--method POST]
                      [--header "name: value"]... [--peer IP] [--json]
                                                  step by step what would become of a call; exit code 1 if it would be refused
       sluice version
       sluice help

  --conf FILE     settings in the format of tyk.conf; without it ./tyk.conf, then /etc/tyk/tyk.conf
  --workers N     worker processes, over the setting "workers"; by default one per core this process may use
`;

const QUESTION = ["port", "authority", "path", "method", "header", "peer", "json"] as const;
const MOST_WORKERS = 1_024;

export function readCommandLine(args: readonly string[]): Command {
  try {
    return command(args);
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

function command(args: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      conf: { type: "string" },
      workers: { type: "string" },
      file: { type: "string" },
      port: { type: "string" },
      authority: { type: "string" },
      path: { type: "string" },
      method: { type: "string" },
      header: { type: "string", multiple: true },
      peer: { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
    },
  });
  const [name, ...rest] = positionals;
  if (values.help) return { name: "help" };
  if (values.version) return { name: "version" };
  if (name === undefined) return wrong("a command is missing");
  for (const option of QUESTION)
    if (values[option] !== undefined && name !== "explain") return wrong(`--${option} belongs to explain`);
  if (name === "keys") return keys(rest, values);
  if (values.file !== undefined) return wrong("--file belongs to keys");
  if (rest.length > 0) return wrong(`unexpected argument ${JSON.stringify(rest[0])}`);
  if (values.conf === "") return wrong("--conf needs a file");
  if (values.workers !== undefined && name !== "start") return wrong("--workers belongs to start");
  if (values.conf !== undefined && name !== "start" && name !== "lint" && name !== "explain")
    return wrong(`--conf does not belong to ${name}`);
  switch (name) {
    case "start":
      return start(values.conf, values.workers);
    case "lint":
      return { name, conf: values.conf };
    case "explain":
      return explain(values);
    case "version":
    case "help":
      return { name };
    default:
      return wrong(`unknown command ${JSON.stringify(name)}`);
  }
}

function keys(rest: readonly string[], values: { conf?: string; file?: string; workers?: string }): Command {
  const [action, ...more] = rest;
  if (action !== "export" && action !== "import") return wrong("keys needs export or import");
  if (more.length > 0) return wrong(`unexpected argument ${JSON.stringify(more[0])}`);
  if (values.conf === "" || values.file === "") return wrong("--conf and --file need a file");
  if (values.workers !== undefined) return wrong("--workers belongs to start");
  return { name: "keys", action, conf: values.conf, file: values.file ?? "" };
}

interface Asked {
  readonly conf?: string;
  readonly port?: string;
  readonly authority?: string;
  readonly path?: string;
  readonly method?: string;
  readonly header?: string[];
  readonly peer?: string;
  readonly json?: boolean;
}

/** What the question says is judged where every question is (control/explain.ts). */
function explain({ conf, port, header, json, authority, path, method, peer }: Asked): Command {
  if (path === undefined) return wrong("explain needs --path");
  if (port !== undefined && !/^[0-9]{1,5}$/.test(port))
    return wrong(`--port must be a port, found ${JSON.stringify(port)}`);
  const question = {
    path,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(header === undefined ? {} : { headers: header }),
    ...(authority === undefined ? {} : { authority }),
    ...(method === undefined ? {} : { method }),
    ...(peer === undefined ? {} : { peer }),
  };
  return { name: "explain", conf, question, json: json === true };
}

function start(conf: string | undefined, workers: string | undefined): Command {
  if (workers === undefined) return { name: "start", conf, workers: undefined };
  const count = /^[0-9]{1,4}$/.test(workers) ? Number(workers) : 0;
  if (count < 1 || count > MOST_WORKERS) {
    return wrong(`--workers must be a whole number from 1 to ${MOST_WORKERS}, found ${JSON.stringify(workers)}`);
  }
  return { name: "start", conf, workers: count };
}

function wrong(problem: string): Command {
  return { name: "wrong", problem };
}
