/**
 * Keys and their homes for the gate's scenarios, written straight into a store with the gateway's own code: asking the control port for a million keys would
 * be another benchmark. Must not know who calls with them. Runs once per stage with a gate.
 */
import { encodeSession } from "../src/shared/keys/codec.js";
import { hashKey, keyRules } from "../src/shared/keys/token.js";
import type { Session } from "../src/shared/model/session.js";
import { makeStore, type StorageSettings } from "../src/shared/store/homes.js";
import { type Child, freePort, startChild, untilListening } from "./children.js";
import { keyToken, ORG } from "./load/token.js";

/** The API that asks for keys. */
export const GATED_API = "bench-0";
/** So much that no run reaches a limit, while every unit is counted. */
const PLENTY = 1_000_000_000;
const DAY_SECONDS = 86_400;
/** A file is written once per batch; Redis has to answer all of one in the time that a command is given, also on a busy machine. */
const BATCH = { embedded: 5_000, redis: 500 };

/** Key, rights to one API and its paths, a rate and a quota. */
export const benchSession = (): Session => ({
  org_id: ORG,
  rate: PLENTY,
  per: DAY_SECONDS,
  quota_max: PLENTY,
  quota_remaining: PLENTY,
  quota_renewal_rate: DAY_SECONDS,
  access_rights: {
    [GATED_API]: {
      api_id: GATED_API,
      api_name: GATED_API,
      versions: ["Default"],
      allowed_urls: [{ url: "^/bench[.]Load/.*", methods: ["POST"] }],
    },
  },
});

/** Stores the session under each token, as the control port would. */
export const storeKeys = async (
  storage: StorageSettings,
  tokens: readonly string[],
  session: Session,
): Promise<void> => {
  const store = makeStore(storage);
  await store.open();
  try {
    const { ok, output } = store.health();
    if (!ok) throw new Error(`the store for the keys cannot be opened: ${output ?? "no reason given"}`);
    const rules = keyRules({});
    const value = encodeSession(session, "msgpack");
    const size = storage.type === "redis" ? BATCH.redis : BATCH.embedded;
    for (let at = 0; at < tokens.length; at += size) {
      const batch = tokens.slice(at, at + size);
      await Promise.all(batch.map((token) => store.put(`apikey-${hashKey(token, rules)}`, value)));
    }
  } finally {
    await store.close();
  }
};

/** The keys that the load client calls with when an order says so many. */
export const writeKeys = (storage: StorageSettings, count: number): Promise<void> =>
  storeKeys(
    storage,
    Array.from({ length: count }, (_, index) => keyToken(index)),
    benchSession(),
  );

/** In memory only, on the load's cores: what Redis costs itself is not the gateway's. */
export const startRedisServer = async (cores: string): Promise<{ readonly child: Child; readonly port: number }> => {
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const child = startChild("redis-server", { file: "redis-server", args }, cores);
  await untilListening(child, port);
  return { child, port };
};
