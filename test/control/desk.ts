// A control API over a store of the test's own, without processes: what is asked and what is answered.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import type { Hono } from "hono";
import { pino } from "pino";
import { controlApp } from "../../src/primary/control/app.js";
import type { ApiDocument } from "../../src/primary/control/context.js";
import { healthOf } from "../../src/primary/health.js";
import { Keyspace } from "../../src/primary/keyspace.js";
import type { Certificates } from "../../src/shared/certificates/collection.js";
import { readSettings } from "../../src/shared/config/read.js";
import type { Settings } from "../../src/shared/config.js";
import type { HealthState } from "../../src/shared/messages.js";
import type { ApiDefinition } from "../../src/shared/model/api-definition.js";
import { judgeDefinition } from "../../src/shared/model/definition.js";
import type { Policy } from "../../src/shared/model/policy.js";
import type { StoreChange } from "../../src/shared/store/store.js";
import { type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";

export const SECRET = "a secret of the test's own";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what is in it
  readonly body: any;
}

export class Desk {
  readonly folder = mkdtempSync(join(tmpdir(), "sluice-desk-"));
  readonly app: Hono;
  readonly keyspace: Keyspace;
  readonly told: StoreChange[] = [];
  readonly heard: StoreChange[] = [];
  readonly policies = new Map<string, Policy>();
  readonly documents = new Map<string, ApiDocument>();
  definitions: ApiDefinition[] = [];
  settings: Settings;
  health: HealthState = healthOf({ version: "1.2.3", leftOut: [], notReady: "" }, new Date(0));
  reloads = 0;
  certificateNews = 0;
  renewals = 0;
  refusal = "";
  notes: string[] = [];
  /** What workers have. */
  certificates: Certificates = {};
  metrics: string | undefined = "";
  /** What workers say to news. */
  applied = true;

  constructor(settings: Record<string, unknown> = {}) {
    const read = readSettings(
      {
        secret: SECRET,
        app_path: join(this.folder, "apps"),
        policies: { policy_path: join(this.folder, "policies") },
        ...settings,
        storage: { path: join(this.folder, "store"), ...(settings["storage"] as object) },
      },
      "tyk.conf",
      { env: {}, readFile: () => "" },
    );
    if (read.settings === undefined) throw new Error(JSON.stringify(read.problems));
    this.settings = read.settings;
    this.keyspace = new Keyspace({
      settings: () => this.settings,
      tell: async (change) => {
        this.told.push(change);
        return this.applied;
      },
      heard: (change) => void this.heard.push(change),
      healthChanged: () => {},
    });
    this.app = controlApp({
      health: () => this.health,
      settings: () => this.settings,
      definitions: () => this.definitions,
      documents: () => this.documents,
      policies: () => this.policies,
      keyspace: this.keyspace,
      explain: async () => undefined,
      reload: async () => {
        this.reloads += 1;
        return { refused: this.refusal, notes: this.notes };
      },
      renew: async () => {
        this.renewals += 1;
        return this.refusal;
      },
      certificates: () => this.certificates,
      certificatesChanged: async () => {
        this.certificateNews += 1;
        return this.applied;
      },
      inspect: async () => [],
      metrics: async () => this.metrics,
      log: pino({ level: "silent" }),
    });
  }

  /** A loaded definition. */
  load(api_id: string, more: Record<string, unknown> = {}): void {
    const document = definition(api_id, more);
    const { definition: served, problems } = judgeDefinition(document, `apps/${api_id}.json`, this.settings);
    if (served === undefined) throw new Error(JSON.stringify(problems));
    this.definitions.push(served);
    this.documents.set(api_id, { file: join(this.settings.app_path, `${api_id}.json`), document });
  }

  async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const answer = await this.app.request(path, {
      method,
      headers: { "x-tyk-authorization": SECRET, ...headers },
      ...(text === undefined ? {} : { body: text }),
    });
    const content = await answer.text();
    return { status: answer.status, headers: answer.headers, body: content === "" ? undefined : JSON.parse(content) };
  }

  async close(): Promise<void> {
    await this.keyspace.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function definition(api_id: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    api_id,
    org_id: "acme",
    name: api_id,
    active: true,
    use_keyless: false,
    use_standard_auth: true,
    auth_configs: { authToken: { auth_header_name: "authorization" } },
    proxy: { listen_path: `/${api_id}.Service`, target_url: "h2c://127.0.0.1:1" },
    version_data: { not_versioned: true, versions: { Default: { name: "Default" } } },
    ...more,
  };
}

/** A session that opens these APIs. */
export function session(apis: readonly string[], more: Record<string, unknown> = {}): Record<string, unknown> {
  const access_rights = Object.fromEntries(
    apis.map((id) => [id, { api_id: id, api_name: id, versions: ["Default"] }] as const),
  );
  return { org_id: "acme", rate: 10, per: 1, access_rights, ...more };
}

/** The suite over an embedded store and over a redis-server; desks are closed with it. */
export function onBothHomes(title: string, suite: (desk: (settings?: Record<string, unknown>) => Desk) => void): void {
  describe(`${title}, embedded`, () => {
    const desks: Desk[] = [];
    suite((settings = {}) => opened(desks, settings));
    after(() => closed(desks));
  });
  describe(`${title}, redis`, { skip: redisMissing() }, () => {
    const desks: Desk[] = [];
    let server: RedisServer;
    let database = 0;
    before(async () => {
      server = await startRedis();
    });
    suite((settings = {}) => {
      database += 1;
      const storage = { type: "redis", host: "127.0.0.1", port: server.port, database: database % 16 };
      return opened(desks, { ...settings, storage: { ...storage, ...(settings["storage"] as object) } });
    });
    after(async () => {
      await closed(desks);
      await server.stop();
    });
  });
}

function opened(desks: Desk[], settings: Record<string, unknown>): Desk {
  const desk = new Desk(settings);
  desks.push(desk);
  return desk;
}

async function closed(desks: Desk[]): Promise<void> {
  for (const desk of desks) await desk.close();
}
