// Responsible for: everything a test of the gate stands on, started and ended together: a store, replicas of the gateway
// with keys on it, a service behind them. Must not know: what is tested. How often: once a suite.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import { type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";
import { type Gateway, startGateway } from "../support/gateway.js";
import { Caller } from "./caller.js";
import { Control, type Json, SECRET } from "./control.js";
import { EchoService } from "./echo.js";

export type HomeName = "embedded" | "redis";

export interface WorldOptions {
  readonly home: HomeName;
  /** `target` is the service's address. */
  readonly definitions: (target: string) => Json[];
  readonly settings?: Json;
  readonly storage?: Json;
  readonly policies?: Readonly<Record<string, Json>>;
  /** Replicas; one unless said otherwise. */
  readonly gateways?: number;
  readonly workers?: number;
  /** Words of redis-server's command line. */
  readonly redis?: readonly string[];
}

export class World {
  private readonly callers: Caller[] = [];

  private constructor(
    readonly service: EchoService,
    readonly redis: RedisServer | undefined,
    readonly folder: string,
    readonly gateways: Gateway[],
  ) {}

  static async start(options: WorldOptions): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), "sluice-gate-"));
    const service = await EchoService.listen();
    const redis = options.home === "redis" ? await startRedis(options.redis) : undefined;
    const world = new World(service, redis, folder, []);
    try {
      for (let n = 0; n < (options.gateways ?? 1); n++) await world.addGateway(options);
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  /** One more replica on the same store. */
  async addGateway(options: WorldOptions): Promise<Gateway> {
    const policies = this.policyFile;
    writeFileSync(policies, JSON.stringify(options.policies ?? {}));
    const home =
      this.redis === undefined
        ? { type: "embedded", path: join(this.folder, "store") }
        : { type: "redis", host: "127.0.0.1", port: this.redis.port };
    const gateway = await startGateway({
      definitions: options.definitions(this.service.target),
      workers: options.workers ?? 1,
      settings: {
        secret: SECRET,
        storage: { ...home, ...options.storage },
        policies: { policy_source: "file", policy_record_name: policies },
        ...options.settings,
      },
    });
    this.gateways.push(gateway);
    return gateway;
  }

  get policyFile(): string {
    return join(this.folder, "policies.json");
  }

  gateway(n = 0): Gateway {
    return this.gateways[n]!;
  }

  control(n = 0): Control {
    return new Control(this.gateway(n).controlPort);
  }

  /** A caller of the nth replica, with connections of its own. */
  caller(n = 0): Caller {
    const caller = new Caller(this.gateway(n).port);
    this.callers.push(caller);
    return caller;
  }

  async stop(): Promise<void> {
    for (const caller of this.callers) caller.close();
    const ended = await Promise.allSettled(this.gateways.map((gateway) => gateway.stop()));
    await this.redis?.stop();
    await this.service.close();
    rmSync(this.folder, { recursive: true, force: true });
    const failed = ended.find((it) => it.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

/** One suite against each home; the second is skipped visibly where redis-server is missing. */
export function onBothHomes(title: string, suite: (home: HomeName) => void): void {
  describe(`${title}, embedded`, () => suite("embedded"));
  describe(`${title}, redis`, { skip: redisMissing() }, () => suite("redis"));
}

/** A definition whose calls need a key; `more` lies over it. */
export function keyed(id: string, target: string, path: string, more: Json = {}): Json {
  return {
    api_id: id,
    org_id: "test",
    name: id,
    active: true,
    use_standard_auth: true,
    auth_configs: { authToken: { auth_header_name: "authorization" } },
    proxy: { listen_path: path, target_url: target, strip_listen_path: false },
    version_data: { not_versioned: true, versions: { Default: { name: "Default" } } },
    ...more,
  };
}

/** The version part of a definition with extended paths. */
export const extended = (paths: Json): Json => ({
  version_data: {
    not_versioned: true,
    versions: { Default: { name: "Default", use_extended_paths: true, extended_paths: paths } },
  },
});
