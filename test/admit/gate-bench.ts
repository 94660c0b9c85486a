/** A gate over a store, with everything a test wants to turn. */

import { encodeSession } from "../../src/shared/keys/codec.js";
import { generateToken, hashKey, type KeyRules, keyRules } from "../../src/shared/keys/token.js";
import type { Policy } from "../../src/shared/model/policy.js";
import type { Session } from "../../src/shared/model/session.js";
import { KEYS_CHANGED, type Store } from "../../src/shared/store/store.js";
import type { ShownCertificate } from "../../src/worker/admit/credentials/certificates.js";
import { type Decision, Gate, type GateOptions, PENDING } from "../../src/worker/admit/gate.js";
import type { GatedDefinition, GateSettings } from "../../src/worker/admit/gated-definition.js";
import type { ApiLimits, SessionLimits } from "../../src/worker/admit/limits/specs.js";
import { heard } from "../store/both-stores.js";

export interface Bench {
  readonly gate: Gate;
  readonly store: Store;
  readonly keys: KeyRules;
  readonly clock: { now: number; wall: number };
  readonly bound: [SessionLimits | undefined, ApiLimits][];
  readonly reports: string[];
  /** Stores a session under a token made of the id and answers the token. */
  key(id: string, session: Session, org?: string): Promise<string>;
  write(name: string, session: Session): Promise<void>;
  revoke(token: string): Promise<void>;
  ask(call: Call): Promise<Decision>;
  reload(definitions: readonly GatedDefinition[], policies?: Record<string, Policy>): void;
}

export interface Call {
  readonly api?: string;
  readonly path?: string;
  readonly method?: string;
  readonly peer?: string;
  readonly fields?: Record<string, string>;
  readonly certificate?: ShownCertificate;
}

export interface BenchOptions {
  readonly settings?: GateSettings;
  readonly policies?: Record<string, Policy>;
  readonly keys?: KeyRules;
  readonly passwords?: GateOptions["passwords"];
  readonly staleMs?: number;
}

export function definition(fields: Partial<GatedDefinition> = {}): GatedDefinition {
  return { api_id: "test", org_id: "default", name: "Test", proxy: { listen_path: "/" }, ...fields };
}

export function makeBench(store: Store, definitions: readonly GatedDefinition[], options: BenchOptions = {}): Bench {
  const clock = { now: 1_000, wall: 1_700_000_000_000 };
  const bound: Bench["bound"] = [];
  const reports: string[] = [];
  const keys = options.keys ?? keyRules({});
  const config = (list: readonly GatedDefinition[], policies: Record<string, Policy> = options.policies ?? {}) => ({
    definitions: list,
    settings: options.settings ?? {},
    policies: new Map(Object.entries(policies)),
  });
  const gate = new Gate(
    {
      store,
      keys,
      passwords: options.passwords ?? { verifyBcrypt: async (password, hash) => hash === `$2b$${password}` },
      limits: (session, api) => {
        bound.push([session, api]);
        return null;
      },
      now: () => clock.now,
      wall: () => clock.wall,
      staleMs: options.staleMs,
      report: (name, problem) => reports.push(`${name}: ${problem}`),
    },
    config(definitions),
  );
  /** Returns when this store has heard its own news, so that no late message meets a later step of the test. */
  const announce = async (name: string): Promise<void> => {
    const told = heard(store.subscribe.bind(store), (change) => change.payload === name);
    await store.publish({ command: KEYS_CHANGED, payload: name });
    await told;
  };
  const write = async (name: string, session: Session): Promise<void> => {
    await store.put(`apikey-${name}`, encodeSession(session, "msgpack"));
    await announce(name);
  };
  return {
    gate,
    store,
    keys,
    clock,
    bound,
    reports,
    async key(id, session, org = "default") {
      const token = generateToken(org, id, keys.algorithm);
      await write(hashKey(token, keys), { org_id: org, ...session });
      return token;
    },
    write,
    async revoke(token) {
      const name = hashKey(token, keys);
      await store.delete(`apikey-${name}`);
      await announce(name);
    },
    ask(call) {
      const api = gate.api(call.api ?? "test");
      if (api === undefined) throw new Error("no such API");
      return new Promise((resolve) => {
        const decision = gate.admit(
          {
            api,
            method: call.method ?? "POST",
            path: call.path ?? "/pkg.Service/Method",
            peer: call.peer ?? "127.0.0.1",
            get: (name) => call.fields?.[name],
            certificate: call.certificate,
          },
          resolve,
        );
        if (decision !== PENDING) resolve(decision);
      });
    },
    reload: (list, policies) => gate.reload(config(list, policies)),
  };
}

export function token(value: string): Call {
  return { fields: { authorization: value } };
}

export function basic(user: string, password: string): Call {
  return { fields: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` } };
}
