// `npm start`: the example service and a gateway in front of it, ended together.
// Responsible for two processes and for leaving none behind. npm does not pass SIGTERM on: when the parent of this
// process is gone, everything ends. In production `node dist/primary/main.js` is started directly.

import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exampleCertificate } from "./certificate.js";
import { secretIn } from "./secret.js";

// The gateway's own time to drain is ten seconds in sluice.json; past this something is wrong.
const LAST_RESORT_MS = 15_000;
const CERTIFICATE = "examples/run/certificate.pem";
const PARENT_MS = 500;

/** The compiled file runs from a build folder; the repository is where package.json is. */
function repository(): string {
  let folder = new URL(".", import.meta.url);
  while (!existsSync(new URL("package.json", folder)) && folder.pathname !== "/") folder = new URL("..", folder);
  return fileURLToPath(folder);
}

// Groups of their own: Ctrl-C reaches this process only, which ends them in their order. The channel tells them when
// this process is killed.
const service = fork(fileURLToPath(new URL("service/main.js", import.meta.url)), { detached: true });
let gateway: ChildProcess | undefined;
let exitCode = 0;
let ending = false;

/** The gateway first: its running calls still need the service. */
function end(code: number): void {
  if (ending) {
    gateway?.kill("SIGTERM");
    return;
  }
  ending = true;
  exitCode = code;
  setTimeout(() => {
    gateway?.kill("SIGKILL");
    service.kill("SIGKILL");
  }, LAST_RESORT_MS).unref();
  if (alive(gateway)) gateway?.kill("SIGTERM");
  else service.kill("SIGTERM");
}

function alive(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

function ended(name: string, other: ChildProcess | undefined, code: number | null): void {
  if (!ending) {
    process.stderr.write(`start: the ${name} has ended, so everything does\n`);
    end(code === 0 || code === null ? 1 : code);
  }
  if (alive(other)) other?.kill("SIGTERM");
  else process.exit(exitCode);
}

service.on("exit", (code) => ended("example service", gateway, code));
process.on("SIGTERM", () => end(0));
process.on("SIGINT", () => end(0));
process.on("SIGHUP", () => end(0));

const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(watch);
  end(0);
}, PARENT_MS).unref();

/** In force over what examples/sluice.json says. */
const PORT = process.env["TYK_GW_LISTENPORT"] || "8080";
const CONTROL_PORT = process.env["TYK_GW_CONTROLAPIPORT"] || "8081";

function tell(): void {
  const call = PORT === "8080" ? "" : ` 127.0.0.1:${PORT}`;
  process.stdout.write(`
gateway          ${`127.0.0.1:${PORT}`.padEnd(16)} the example service by its listen path, /hello and /ready
                 127.0.0.1:8082   the example service alone
                 127.0.0.1:8083   the same for those who have a key
                 127.0.0.1:8084   the example service over TLS
control port     ${`127.0.0.1:${CONTROL_PORT}`.padEnd(16)} /hello, /ready and /tyk/…; its secret is in examples/run/secret
example service  127.0.0.1:50051

try it in another terminal:  npm run demo${call === "" ? "" : ` --${call}`}

make a key and call with it; without one the answer is UNAUTHENTICATED:
  curl -s -H "X-Tyk-Authorization: $(cat examples/run/secret)" -d @examples/key.json http://127.0.0.1:${CONTROL_PORT}/tyk/keys/create
  node .build/examples/call.js KEY      # the "key" of that answer
  node .build/examples/call.js

call over TLS, trusting the certificate that was made at the first start:
  node .build/examples/call.js "" localhost:8084 ${CERTIFICATE}

`);
}

async function startGateway(): Promise<void> {
  const folder = repository();
  await exampleCertificate(join(folder, CERTIFICATE));
  if (ending) return;
  gateway = fork("dist/primary/main.js", ["start", "--conf", "examples/sluice.json"], {
    cwd: folder,
    env: {
      ...process.env,
      // Over the environment: a secret in a command line is everybody's.
      TYK_GW_SECRET: secretIn(join(folder, "examples/run")),
      // Not in sluice.json, which is good before there is a certificate.
      TYK_GW_HTTPSERVEROPTIONS_SSLCERTIFICATES: JSON.stringify([CERTIFICATE]),
    },
    detached: true,
  });
  gateway.once("message", tell);
  gateway.on("exit", (code) => ended("gateway", service, code));
}

/** Both tell over their channel when they serve. */
service.once("message", () => {
  if (ending) return;
  startGateway().catch((error: unknown) => {
    process.stderr.write(`start: ${error instanceof Error ? error.message : String(error)}\n`);
    end(1);
  });
});
