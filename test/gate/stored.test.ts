// Responsible for: keys in every form in which they may stand in a store: hashed by each function, by Tyk, before it
// hashed at all, as JSON; and keys carried from one home to another. Governed by: spec 4.1, 4.2, 7.4 (hash functions,
// character bug, changed hash function).

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { status } from "@grpc/grpc-js";
import { hashText } from "../../src/shared/keys/hash.js";
import { generateToken } from "../../src/shared/keys/token.js";
import { makeStore, type StorageSettings } from "../../src/shared/store/homes.js";
import { redisMissing, startRedis } from "../store/redis-server.js";
import { until } from "../support/waiting.js";
import { basic, type Caller, type Fields, token } from "./caller.js";
import { type Json, rights } from "./control.js";
import { type HomeName, keyed, onBothHomes, World, type WorldOptions } from "./world.js";

const { OK, UNAUTHENTICATED } = status;
const MAIN = fileURLToPath(new URL("../../src/primary/main.js", import.meta.url));
const ORG = "5e9d9544a1dcd60001d0ed20";
const UUID = "0123456789abcdef0123456789abcdef";
/** As Tyk hashes the password "tyk". */
const USER = { basic_auth_data: { password: hashText("tyk", "murmur64"), hash_type: "murmur64" } };

const definitions = (target: string): Json[] => [
  keyed("token", target, "/token.Api"),
  keyed("basic", target, "/basic.Api", { use_standard_auth: false, use_basic_auth: true, auth_configs: {} }),
];
const FALLBACKS = { hash_key_function_fallback: ["murmur64", "murmur32", "murmur128", ""] };

/** What Tyk writes for a key: Go's JSON, with its nulls and times. */
const session = (more: Json = {}): Json => ({
  last_check: 0,
  allowance: 1_000,
  rate: 1_000,
  per: 60,
  expires: 0,
  quota_max: -1,
  quota_renews: 0,
  org_id: "test",
  oauth_client_id: "",
  oauth_keys: null,
  apply_policies: null,
  tags: [],
  meta_data: null,
  date_created: "2024-01-02T03:04:05.678901234Z",
  last_updated: "1704164645",
  access_rights: rights(["token", "basic"]),
  ...more,
});

interface Stored {
  readonly says: string;
  /** Without `apikey-`. */
  readonly name: string;
  readonly path: string;
  readonly fields: Fields;
  readonly session: Json;
  /** Only found because a fallback names the function. */
  readonly byFallback: boolean;
}

const tokens = (["murmur32", "murmur64", "murmur128", "sha256"] as const).map((kind): Stored => {
  const key = generateToken("test", `id-${kind}`, kind);
  return {
    says: `a token hashed by ${kind}`,
    name: hashText(key, kind),
    path: "/token.Api/M",
    fields: token(key),
    session: session(),
    byFallback: false,
  };
});
const custom = (["murmur32", "murmur64", "murmur128"] as const).map((kind): Stored => {
  return {
    says: `a key of a name of its own, wrapped and hashed by ${kind}`,
    name: hashText(generateToken("test", `custom-${kind}`, kind), kind),
    path: "/token.Api/M",
    fields: token(`custom-${kind}`),
    session: session(),
    byFallback: true,
  };
});

const HASHED: Stored[] = [
  ...tokens,
  ...custom,
  {
    says: "a token of before Tyk named hash functions",
    name: hashText(ORG + UUID, "murmur32"),
    path: "/token.Api/M",
    fields: token(ORG + UUID),
    session: session(),
    byFallback: false,
  },
  {
    says: "a key of a name of its own of that time",
    name: hashText("testolder", "murmur32"),
    path: "/token.Api/M",
    fields: token("older"),
    session: session(),
    byFallback: true,
  },
  {
    says: "a user hashed by murmur64",
    name: hashText(generateToken("test", "someone", "murmur64"), "murmur64"),
    path: "/basic.Api/M",
    fields: basic("someone:tyk"),
    session: session(USER),
    byFallback: true,
  },
  {
    says: "a user of before Tyk named hash functions",
    name: hashText("testelder", "murmur32"),
    path: "/basic.Api/M",
    fields: basic("elder:tyk"),
    session: session(USER),
    byFallback: false,
  },
];

const storageOf = (world: World): StorageSettings & Json =>
  world.redis === undefined
    ? { type: "embedded", path: join(world.folder, "store") }
    : { type: "redis", host: "127.0.0.1", port: world.redis.port };

/** As another program would: JSON under Tyk's names. */
async function write(storage: StorageSettings, all: readonly { name: string; session: Json }[]): Promise<void> {
  const store = makeStore(storage);
  await store.open();
  try {
    for (const { name, session: it } of all) await store.put(`apikey-${name}`, Buffer.from(JSON.stringify(it)));
  } finally {
    await store.close();
  }
}

onBothHomes("keys as Tyk stored them", (home: HomeName) => {
  let world: World;
  let withFallbacks: Caller;
  let without: Caller;
  before(async () => {
    const options = { home, definitions } as const;
    world = await World.start({ ...options, settings: FALLBACKS });
    await world.addGateway(options);
    await write(storageOf(world), HASHED);
    withFallbacks = world.caller(0);
    without = world.caller(1);
  });
  after(() => world?.stop());

  for (const { says, path, fields, byFallback } of HASHED) {
    it(`${says} is let in${byFallback ? ", by a fallback" : ""}`, async () => {
      assert.equal(await withFallbacks.code(path, fields), OK);
      assert.equal(await without.code(path, fields), byFallback ? UNAUTHENTICATED : OK);
    });
  }

  it("a key with other characters behind it is another one, whatever function hashed it", async () => {
    for (const { fields, path } of HASHED.filter((one) => one.path === "/token.Api/M"))
      for (const more of ["abc", "a", "===="])
        assert.equal(await withFallbacks.code(path, token(fields["authorization"] + more)), UNAUTHENTICATED, more);
  });

  it("a stored hash is no key", async () => {
    for (const { name } of HASHED) assert.equal(await withFallbacks.code("/token.Api/M", token(name)), UNAUTHENTICATED);
  });

  it("what is removed by the control API stops, found by the form it is stored in", async () => {
    const [, , first] = tokens;
    const { name, fields } = first!;
    assert.equal(await withFallbacks.code("/token.Api/M", fields), OK);
    await world.control().done("DELETE", `/tyk/keys/${name}?hashed=true`);
    assert.equal(await withFallbacks.code("/token.Api/M", fields), UNAUTHENTICATED);
    const [, older] = custom;
    await world.control().done("DELETE", `/tyk/keys/${older!.fields["authorization"]}?org_id=test`);
    assert.equal(await withFallbacks.code("/token.Api/M", older!.fields), UNAUTHENTICATED);
  });

  it("new keys are hashed by sha256 and do not stand in the store themselves", async () => {
    const { key, hash } = await world.control().key({ access_rights: rights(["token"]) });
    assert.equal(hash, hashText(key, "sha256"));
    assert.equal(await without.code("/token.Api/M", token(key)), OK);
  });
});

onBothHomes("keys in the open", (home) => {
  let world: World;
  before(async () => {
    world = await World.start({ home, definitions, settings: { hash_keys: false } });
    await write(storageOf(world), [
      { name: ORG + UUID, session: session() },
      { name: generateToken("test", "wrapped", "murmur64"), session: session() },
      { name: "imported", session: session() },
    ]);
  });
  after(() => world?.stop());

  it("are found where hash_keys is off", async () => {
    const caller = world.caller();
    for (const one of [ORG + UUID, generateToken("test", "wrapped", "murmur64"), "imported"])
      assert.equal(await caller.code("/token.Api/M", token(one)), OK, one);
    assert.equal(await caller.code("/token.Api/M", token("importe")), UNAUTHENTICATED);
    const { key, hash } = await world.control().key({ access_rights: rights(["token"]) }, "mine");
    assert.equal(hash, "");
    for (const one of [key, "mine"]) assert.equal(await caller.code("/token.Api/M", token(one)), OK);
  });
});

describe("keys carried from Tyk's Redis to the embedded home and back", { skip: redisMissing() }, () => {
  const options: WorldOptions = { home: "embedded", definitions, settings: FALLBACKS };
  let world: World;
  before(async () => {
    world = await World.start(options);
  });
  after(() => world?.stop());

  const keys = (action: string, storage: Json, input = ""): string => {
    const conf = join(world.folder, "keys.json");
    writeFileSync(conf, JSON.stringify({ storage }));
    const done = spawnSync(process.execPath, [MAIN, "keys", action, "--conf", conf], { encoding: "utf8", input });
    assert.equal(done.status, 0, done.stderr);
    return done.stdout;
  };

  it("open what they opened before, in a gateway that runs", async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const storage = { type: "redis", host: "127.0.0.1", port: redis.port };
    await write(storage, HASHED);
    const caller = world.caller();
    const first = HASHED[0]!;
    assert.equal(await caller.code(first.path, first.fields), UNAUTHENTICATED);
    keys("import", storageOf(world), keys("export", storage));
    // The key was remembered as unknown; another process's news are read within a second.
    await until("the gateway sees what was imported", async () => (await caller.code(first.path, first.fields)) === OK);
    for (const { says, path, fields } of HASHED) assert.equal(await caller.code(path, fields), OK, says);
    const { key } = await world.control().key({ access_rights: rights(["token"]) });
    const back = { ...storage, database: 1 };
    keys("import", back, keys("export", storageOf(world)));
    await world.addGateway({ ...options, storage: back });
    const other = world.caller(1);
    for (const { says, path, fields } of HASHED) assert.equal(await other.code(path, fields), OK, says);
    assert.equal(await other.code("/token.Api/M", token(key)), OK);
  });
});
