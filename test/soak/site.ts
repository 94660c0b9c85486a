// Responsible for: one gateway of a soak with everything around it: store, service, certificate, keys, and the figures it tells.
// Must not know: how long it is soaked, what is judged. How often: once a home of keys.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "../gate/control.js";
import { rights } from "../gate/control.js";
import { type HomeName, keyed, World } from "../gate/world.js";
import { freePorts, type Gateway, keyless } from "../support/gateway.js";
import { ServiceProcess } from "../support/grpc/service-process.js";
import { until } from "../support/waiting.js";
import { make } from "../tls/certificates.js";
import { MixedLoad, ROOT, SERVICE } from "./mixed-load.js";

export const WORKERS = 2;
const DAY = 86_400;
const SETTINGS = { graceful_shutdown_timeout_duration: 5 };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Site {
  reloads = 0;
  restarts = 0;

  private constructor(
    readonly home: HomeName,
    readonly world: World,
    readonly load: MixedLoad,
    private readonly service: ServiceProcess,
    private readonly open: (n: number) => Json,
  ) {}

  static async start(home: HomeName, perSecond: number): Promise<Site> {
    const service = await ServiceProcess.start(SERVICE);
    let world: World | undefined;
    try {
      const [certificate, [tlsPort = 0]] = await Promise.all([make({ name: "localhost", until: 365 }), freePorts(1)]);
      const { target } = service;
      const at = (name: string) => ({ path: `/${ROOT}/${name}`, target, id: name, proxy: { strip_listen_path: true } });
      const open = (n: number): Json => keyless({ ...at("open"), more: headers(n) });
      world = await World.start({
        home,
        workers: WORKERS,
        settings: { ...SETTINGS, http_server_options: { ssl_certificates: [certificate.pem] } },
        definitions: () => [
          open(0),
          keyed("keyed", target, `/${ROOT}/keyed`, {
            proxy: { listen_path: `/${ROOT}/keyed`, target_url: target, strip_listen_path: true },
          }),
          keyless({ ...at("secure"), more: { protocol: "https", listen_port: tlsPort } }),
        ],
      });
      const control = world.control();
      const session = { access_rights: rights(["keyed"]) };
      const { key: free } = await control.key(session, "free-for-all-of-the-soak");
      const limits = { rate: 10, per: 1, quota_max: 1_000_000, quota_renewal_rate: DAY };
      const { key: limited } = await control.key({ ...session, ...limits }, "limited-for-the-soak");
      const ways = { port: world.gateway().port, tlsPort, trusted: certificate.cert, free, limited };
      return new Site(home, world, new MixedLoad(ways, perSecond), service, open);
    } catch (error) {
      await world?.stop();
      await service.close();
      throw error;
    }
  }

  get gateway(): Gateway {
    return this.world.gateway();
  }

  /** SIGHUP with a definition that is another than before, so that plans are made anew. */
  async reload(): Promise<void> {
    this.reloads += 1;
    writeFileSync(join(this.gateway.appPath, "0.json"), JSON.stringify(this.open(this.reloads)));
    this.gateway.signal("SIGHUP");
    await until("it is reloaded", async () => (await this.figure("sluice_reloads_total", "done")) >= this.reloads);
  }

  /** SIGUSR2; resolves when the old workers are gone. */
  async restart(): Promise<void> {
    this.restarts += 1;
    const old = await this.gateway.workers();
    this.gateway.signal("SIGUSR2");
    await until("every worker is new", async () => {
      const now = await this.gateway.workers();
      const done = (await this.figure("sluice_restarts_total", "done")) >= this.restarts;
      return done && !now.some((pid) => old.includes(pid));
    });
  }

  /** What an operator and their tools do all day: figures, health, live connections, a key made and removed. */
  async operate(): Promise<void> {
    const control = this.world.control();
    const hello = await control.ask("GET", "/hello");
    if (hello.body["status"] !== "pass") throw new Error(`/hello says ${JSON.stringify(hello.body)}`);
    const shown = await control.ask("GET", "/tyk/debug/connections?limit=20");
    if (shown.status !== 200) throw new Error(`live connections: ${shown.status}`);
    const made = await control.ask("POST", "/tyk/keys/create", { org_id: "test", access_rights: rights(["keyed"]) });
    const key = encodeURIComponent(String(made.body["key"]));
    const removed = await control.ask("DELETE", `/tyk/keys/${key}`);
    if (made.status !== 200 || removed.status !== 200) throw new Error(`keys: ${made.status}, ${removed.status}`);
  }

  /** The sum of a metric's series, of those that have this text in their labels. */
  async figure(name: string, label = ""): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.gateway.controlPort}/metrics`);
    const lines = (await answer.text()).split("\n").filter((line) => /^[^{ ]+/.exec(line)?.[0] === name);
    return lines
      .filter((line) => line.includes(label))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** Figures that are nothing when nobody calls, once they had the time to become so. */
  async leftBehind(): Promise<string[]> {
    const names = ["sluice_calls_open", "sluice_connections", "sluice_buffered_bytes", "sluice_replay_bytes"];
    const left = async (): Promise<string[]> => {
      const values = await Promise.all(names.map((name) => this.figure(name)));
      return names.flatMap((name, at) => (values[at] === 0 ? [] : [`${name} ${values[at]}`]));
    };
    for (let n = 0; n < 20 && (await left()).length > 0; n++) await pause(500);
    return left();
  }

  async stop(): Promise<void> {
    await this.load.stop();
    await this.world.stop();
    await this.service.close();
  }
}

/** Another definition for each n. */
const headers = (n: number): Json => ({
  version_data: {
    not_versioned: true,
    versions: { Default: { name: "Default", global_headers: { "x-reload": String(n) } } },
  },
});
