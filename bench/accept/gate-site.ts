/**
 * What the lines about the gate stand on: a service, gateways with and without keys, stores filled before they start.
 * Must not know what is claimed. Started once per group of lines.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateToken } from "../../src/shared/keys/token.js";
import { type Child, freePort, onPath, startChild, untilListening } from "../children.js";
import { type CpuMeter, cpuMeter } from "../cpu.js";
import { startRedisServer, storeKeys } from "../keys.js";
import { ECHO_PATH } from "../load/message.js";
import { echoOrder, type LoadOrder } from "../load/order.js";
import { runOwnClient } from "../load/run-client.js";
import type { Outcome } from "../outcome.js";
import { sluiceMain } from "../peers/sluice.js";
import { projectRoot } from "../results.js";
import { placeOnCores, scratchFolder } from "../stage.js";

export const SECRET = "a secret of the bench";
const ORG = "bench";
const API = "bench";
const READY_MS = 60_000;
const LONGEST_SECONDS = 120;

export type Home =
  | { readonly type: "embedded"; readonly path: string }
  | { readonly type: "redis"; readonly host: string; readonly port: number };

export interface Site {
  readonly child: Child;
  readonly port: number;
  readonly controlPort: number;
  readonly meter: CpuMeter;
  /** From the command to the first /ready. */
  readonly startMs: number;
}

/** A session as a key of an application has it: rights to a method, a rate and a quota that are not used up here. */
export const session = {
  org_id: ORG,
  rate: 1_000_000,
  per: 60,
  quota_max: 1_000_000_000,
  quota_renewal_rate: 86_400,
  access_rights: {
    [API]: {
      api_id: API,
      api_name: API,
      versions: ["Default"],
      allowed_urls: [{ url: ECHO_PATH, methods: ["POST"] }],
    },
  },
};

export const newTokens = (count: number): string[] =>
  Array.from({ length: count }, () => generateToken(ORG, randomBytes(16).toString("hex"), "sha256"));

/** Stores a session under each token, as the control API would. */
export const fill = (home: Home, tokens: readonly string[]): Promise<void> => storeKeys(home, tokens, session);

export const startService = async (): Promise<{ child: Child; port: number }> => {
  const port = await freePort();
  const file = fileURLToPath(new URL("../load/echo.js", import.meta.url));
  const child = startChild("service", { file: process.execPath, args: [file, String(port)] }, placeOnCores().load);
  await untilListening(child, port);
  return { child, port };
};

export const startRedis = async (): Promise<{ child: Child; home: Home } | null> => {
  if (onPath("redis-server") === null) return null;
  const { child, port } = await startRedisServer(placeOnCores().load);
  return { child, home: { type: "redis", host: "127.0.0.1", port } };
};

export const embeddedHome = (): Home => ({
  type: "embedded",
  path: join(mkdtempSync(join(scratchFolder(), "home-")), "store"),
});

const definition = (servicePort: number, keyed: boolean): object => ({
  api_id: API,
  org_id: ORG,
  name: API,
  active: true,
  ...(keyed
    ? { use_standard_auth: true, auth_configs: { authToken: { auth_header_name: "authorization" } } }
    : { use_keyless: true }),
  proxy: { listen_path: "/", target_url: `h2c://127.0.0.1:${servicePort}`, strip_listen_path: false },
  version_data: { not_versioned: true, versions: { Default: { name: "Default" } } },
});

/** A gateway on the proxy's core; without a home its API is open to everybody. `more` lies over its definition, `set` over its settings. */
export const startSite = async (
  name: string,
  servicePort: number,
  home: Home | null,
  workers = 1,
  more: object = {},
  set: object = {},
): Promise<Site> => {
  const folder = mkdtempSync(join(scratchFolder(), "site-"));
  mkdirSync(join(folder, "apps"));
  const [port, controlPort] = [await freePort(), await freePort()];
  const settings = {
    listen_address: "127.0.0.1",
    listen_port: port,
    control_api_port: controlPort,
    secret: SECRET,
    app_path: join(folder, "apps"),
    disable_ports_whitelist: true,
    ...(home === null ? {} : { storage: home }),
    ...set,
  };
  writeFileSync(join(folder, "sluice.conf"), JSON.stringify(settings));
  writeFileSync(
    join(folder, "apps", "api.json"),
    JSON.stringify({ ...definition(servicePort, home !== null), ...more }),
  );
  const args = [sluiceMain(projectRoot), "start", "--conf", join(folder, "sluice.conf"), "--workers", String(workers)];
  const began = performance.now();
  const child = startChild(name, { file: process.execPath, args, folder }, placeOnCores().proxy);
  await untilListening(child, controlPort);
  await untilReady(child, controlPort);
  return { child, port, controlPort, meter: cpuMeter(child.pid), startMs: performance.now() - began };
};

const untilReady = async (child: Child, controlPort: number): Promise<void> => {
  for (const end = performance.now() + READY_MS; performance.now() < end; ) {
    const status = await fetch(`http://127.0.0.1:${controlPort}/ready`).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${child.name} is not ready: ${child.output().slice(-400)}`);
};

export const orderFor = (site: Site, authorizations: readonly string[], seconds: number): LoadOrder =>
  echoOrder(site.port, { connections: 10, streams: 100, seconds, authorizations });

export interface Measured {
  /** CPU microseconds of the gateway per call, whatever the call came to. */
  readonly cpu: number;
  readonly outcome: Outcome;
  /** Calls that were refused or failed, by reason. */
  readonly refused: number;
}

/** For so many seconds, or for so many calls however long they take: what a key's first calls cost must not be a matter of the machine's speed. */
export const measure = async (
  site: Site,
  authorizations: readonly string[],
  seconds: number,
  calls = 0,
): Promise<Measured> => {
  const before = site.meter.readNs();
  const order = orderFor(site, authorizations, calls > 0 ? LONGEST_SECONDS : seconds);
  const outcome = await runOwnClient({ ...order, calls }, placeOnCores().load);
  const used = site.meter.readNs() - before;
  const refused = Object.values(outcome.failures).reduce((sum, count) => sum + count, 0);
  return { cpu: used / 1_000 / Math.max(1, outcome.calls + refused), outcome, refused };
};
