// The gate of a worker with everything it stands on: the store, remembered keys, counters, password checks. Made when
// the first configuration asks for keys, lists or limits; a gateway of open APIs only never opens a store.
// Contract: the heads of admit/gate.ts and admit/limits/limit.ts. Runs: at start, at a reload, and on its ticks.

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import type { Counters } from "../shared/counters/counters.js";
import type { Counter } from "../shared/counters/exchange.js";
import { openCounters } from "../shared/counters/open.js";
import type { PasswordCheck } from "../shared/keys/password.js";
import { keyRules } from "../shared/keys/token.js";
import type { WorkerConfig } from "../shared/messages.js";
import { makeStore } from "../shared/store/homes.js";
import type { Store, StoreChange } from "../shared/store/store.js";
import { type ApiGate, compileApi } from "./admit/api-gate.js";
import { Gate, type GateConfig } from "./admit/gate.js";
import type { GateSettings } from "./admit/gated-definition.js";
import { LimitEngine } from "./admit/limits/engine.js";
import {
  type ApiLimits,
  type Counting,
  countingOf,
  type Limits,
  limitsOf,
  type SessionLimits,
} from "./admit/limits/specs.js";
import { STAMPS_VARIABLE, Stamps } from "./admit/limits/stamps.js";

/** The engine of limits is looked after so often, ms (limit.ts). */
const LIMITS_MS = 50;
/** Remembered keys are looked over so often, ms (gate.ts). */
const KEYS_MS = 1_000;
/** A command of the store may take so long before a call that waits for it is given up, ms. */
const STORE_WAIT_MS = 500;

export class Gatehouse {
  readonly gate: Gate;
  readonly engine: LimitEngine;
  readonly store: Store;
  private readonly timers: NodeJS.Timeout[];
  private readonly counters: Counters;
  private counting: Counting;

  private constructor(store: Store, config: WorkerConfig, passwords: PasswordCheck, clock: () => number, log: Logger) {
    const { settings } = config;
    const worker = `${hostname().slice(0, 32)}-${process.pid}-${randomBytes(6).toString("hex")}`;
    this.store = store;
    this.counting = countingOf(settings).counting;
    const counters = openCounters(store.counters(), worker);
    this.counters = counters;
    const stamps = process.env[STAMPS_VARIABLE];
    this.engine = new LimitEngine({
      counters,
      worker,
      clock,
      wall: Date.now,
      // The engine looks at its watch once a tick: what is given up at the second look has waited no longer than a command may.
      waitMs: storeWaitMs(settings.storage.timeout) - 2 * LIMITS_MS,
      quotaUncounted: settings.storage.quota_uncounted,
      stamps: stamps === undefined || stamps === "" ? undefined : new Stamps(stamps, worker),
    });
    this.gate = new Gate(
      {
        store,
        keys: keyRules(settings),
        passwords,
        limits: (session, api) => {
          const { specs, throttle } = limitsOf(session, api, this.counting);
          return specs.length === 0 ? null : this.engine.set(specs, throttle);
        },
        readQuota: (key) => counters.read(key, true),
        now: clock,
        wall: Date.now,
        staleMs: settings.storage.serve_stale * 1_000,
        report: (name, problem) => log.warn({ key: name.slice(0, 8), problem }, "a key cannot be used"),
      },
      gateConfig(config),
    );
    this.timers = [
      setInterval(() => this.engine.tick(clock()), LIMITS_MS),
      setInterval(() => void this.gate.tick(), KEYS_MS),
    ];
  }

  /** True when some API of the configuration asks for more than a route. */
  static isNeeded(config: WorkerConfig): boolean {
    const settings = gateSettings(config);
    return config.definitions.some((definition) => isGuarded(compileApi(definition, settings)));
  }

  static async open(
    config: WorkerConfig,
    passwords: PasswordCheck,
    clock: () => number,
    log: Logger,
  ): Promise<Gatehouse> {
    const { settings } = config;
    const { timeout, ...storage } = settings.storage;
    // Calls wait for the store: it gets no longer than they do.
    const store = makeStore(
      { ...storage, timeout: storeWaitMs(timeout) / 1_000 },
      { nodeSecret: settings.node_secret, allowUnsigned: settings.allow_insecure_configs },
    );
    await store.open();
    store.onHealth(({ ok, output }) => {
      if (ok) log.info("the store can be asked again");
      else log.error({ reason: output }, "the store cannot be asked: known keys go on, unknown ones are UNAVAILABLE");
    });
    return new Gatehouse(store, config, passwords, clock, log);
  }

  configure(config: WorkerConfig): void {
    this.counting = countingOf(config.settings).counting;
    this.gate.reload(gateConfig(config));
  }

  /** The gate of a definition; null where everybody may call without limits. */
  guardOf(apiId: string): ApiGate | null {
    const api = this.gate.api(apiId);
    return api !== undefined && isGuarded(api) ? api : null;
  }

  /** What would count, for whoever wants to know; nothing is counted by it. */
  limitsOf(session: SessionLimits | undefined, api: ApiLimits): Limits {
    return limitsOf(session, api, this.counting);
  }

  /** What a counter holds; undefined where nothing was taken, and where the store cannot be asked. */
  async counter(key: string, quota: boolean): Promise<Counter | undefined> {
    try {
      return await this.counters.read(key, quota);
    } catch {
      return undefined;
    }
  }

  changed(change: StoreChange): void {
    this.gate.heard(change);
  }

  /** Unused units go back before the store closes. */
  async close(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.gate.close();
    await this.engine.stop();
    await this.store.close();
  }
}

/** Calls wait for the store: a setting shortens what a command may take, and cannot lengthen it. In seconds; 0 is none. */
function storeWaitMs(timeout: number): number {
  return timeout === 0 ? STORE_WAIT_MS : Math.max(4 * LIMITS_MS, Math.min(timeout * 1_000, STORE_WAIT_MS));
}

/** Something about the API is to be decided per call. */
function isGuarded(api: ApiGate): boolean {
  const global = api.limits.global;
  return (
    api.closed ||
    api.monitored ||
    api.auth.length > 0 ||
    api.lists.restricts ||
    api.allow !== undefined ||
    api.deny !== undefined ||
    api.rewritesPaths ||
    api.endpointLimits.length > 0 ||
    (global !== undefined && global.disabled !== true && (global.rate ?? 0) > 0) ||
    Number.isFinite(api.versionEnds) ||
    Number.isFinite(api.apiEnds)
  );
}

function gateConfig(config: WorkerConfig): GateConfig {
  return {
    definitions: config.definitions,
    settings: gateSettings(config),
    policies: new Map(config.policies.map((policy) => [policy.id ?? "", policy])),
    overrides: config.settings.override_messages,
  };
}

/** Tyk keeps half of these in http_server_options. */
function gateSettings({ settings }: WorkerConfig): GateSettings {
  const front = settings.http_server_options;
  return {
    min_token_length: settings.min_token_length,
    enable_path_prefix_matching: front.enable_path_prefix_matching,
    enable_path_suffix_matching: front.enable_path_suffix_matching,
    ignore_endpoint_case: settings.ignore_endpoint_case,
    plain_path_matching: settings.plain_path_matching,
    trusted_proxies: settings.trusted_proxies,
    xff_depth: front.xff_depth,
    enforce_org_quotas: settings.enforce_org_quotas,
    allow_unsafe_dynamic_mtls_token: settings.security.allow_unsafe_dynamic_mtls_token,
  };
}
