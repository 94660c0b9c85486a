// `npm start`: the example service and a gateway in front of it, ended together.
// Responsible for two processes and for leaving none behind. npm does not pass SIGTERM on: when the parent of this
// process is gone, everything ends. In production `node dist/primary/main.js` is started directly.

import { type ChildProcess, fork, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { get } from "node:http";
import { fileURLToPath } from "node:url";

// The gateway's own time to drain is ten seconds in sluice.json; past this something is wrong.
const LAST_RESORT_MS = 15_000;
const PARENT_MS = 500;
const ASK_MS = 100;
const CONTROL = "http://127.0.0.1:8081/ready";

/** The compiled file runs from a build folder; the repository is where package.json is. */
function repository(): string {
  let folder = new URL(".", import.meta.url);
  while (!existsSync(new URL("package.json", folder)) && folder.pathname !== "/") folder = new URL("..", folder);
  return fileURLToPath(folder);
}

const service = fork(fileURLToPath(new URL("service/main.js", import.meta.url)), { stdio: "inherit" });
const gateway = spawn(process.execPath, ["dist/primary/main.js", "start", "--conf", "examples/sluice.json"], {
  cwd: repository(),
  stdio: ["ignore", "inherit", "inherit"],
});

let exitCode = 0;
let ending = false;

/** The gateway first: its running calls still need the service. */
function end(code: number): void {
  if (ending) {
    gateway.kill("SIGTERM");
    return;
  }
  ending = true;
  exitCode = code;
  setTimeout(() => {
    gateway.kill("SIGKILL");
    service.kill("SIGKILL");
  }, LAST_RESORT_MS).unref();
  if (alive(gateway)) gateway.kill("SIGTERM");
  else service.kill("SIGTERM");
}

function alive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function ended(name: string, other: ChildProcess, code: number | null): void {
  if (!ending) {
    process.stderr.write(`start: the ${name} has ended, so everything does\n`);
    end(code === 0 || code === null ? 1 : code);
  }
  if (alive(other)) other.kill("SIGTERM");
  else process.exit(exitCode);
}

gateway.on("exit", (code) => ended("gateway", service, code));
service.on("exit", (code) => ended("example service", gateway, code));
process.on("SIGTERM", () => end(0));
process.on("SIGINT", () => end(0));
process.on("SIGHUP", () => end(0));

const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) end(0);
}, PARENT_MS).unref();

function tell(): void {
  process.stdout.write(`
gateway          127.0.0.1:8080   the example service by its listen path, /hello and /ready
                 127.0.0.1:8082   the example service alone
control port     127.0.0.1:8081   /hello and /ready
example service  127.0.0.1:50051

try it in another terminal:  npm run demo

`);
}

function askUntilReady(): void {
  if (ending) return;
  const again = () => setTimeout(askUntilReady, ASK_MS);
  get(CONTROL, (answer) => {
    answer.resume();
    if (answer.statusCode === 200) tell();
    else again();
  }).on("error", again);
}

askUntilReady();
