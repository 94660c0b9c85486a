// Responsible for: grpcio as an independent peer: whether it is here, its service, its client's outcome.
// Must not know: the gateway. How often: tests only.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PYTHON = "/usr/bin/python3";
// Compiled tests lie one folder deeper than the sources, whatever the folder is called.
const script = (name: string): string =>
  fileURLToPath(new URL(`../../../../test/support/python/${name}`, import.meta.url));

/** What is missing, or "" if nothing is. With CI=true a missing peer is a failure, not a skip. */
export function missingGrpcio(): string {
  const found = spawnSync(PYTHON, ["-c", "import grpc"]).status === 0;
  if (found) return "";
  const reason = `${PYTHON} with grpcio is not here`;
  if (process.env["CI"] === "true") throw new Error(reason);
  return reason;
}

export class PythonService {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(service: string): Promise<PythonService> {
    const child = spawn(PYTHON, [script("service.py"), service], { stdio: ["pipe", "pipe", "inherit"] });
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
    return new PythonService(child, Number(line));
  }

  get target(): string {
    return `h2c://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }
}

export interface PythonOutcome {
  readonly name: string;
  /** Empty when all was well. */
  readonly problem: string;
}

/** Runs every case of the client; a script that breaks is an outcome too. */
export async function runPythonClient(port: number, service: string, direct: number): Promise<PythonOutcome[]> {
  const args = [script("client.py"), String(port), service, String(direct)];
  const child = spawn(PYTHON, args, { stdio: ["ignore", "pipe", "inherit"], timeout: 60_000, killSignal: "SIGKILL" });
  const outcomes: PythonOutcome[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => outcomes.push(JSON.parse(line) as PythonOutcome));
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  if (code !== 0) outcomes.push({ name: "the script itself", problem: `ended with ${code ?? signal}` });
  return outcomes;
}
