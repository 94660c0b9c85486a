// Responsible for: what is wrong, on purpose or by mistake: definitions, policies, sessions, tokens, credentials as any
// bytes. Nothing answers 500, no worker dies. Governed by: issue "The gate", acceptance.

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import { until as eventually } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import { headers } from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";
import { basic, type Caller, token } from "./caller.js";
import { type Control, type Json, rights, SECRET } from "./control.js";
import { keyed, onBothHomes, World } from "./world.js";

const { OK, UNAUTHENTICATED, PERMISSION_DENIED } = status;
const SEED = 20_261_122;

const jwt: Json = {
  use_standard_auth: false,
  enable_jwt: true,
  auth_configs: {},
  jwt_signing_method: "hmac",
  jwt_source: Buffer.from("a secret of the tests, long enough").toString("base64"),
  jwt_default_policies: ["good"],
  jwt_identity_base_field: "sub",
};

const places: Json = {
  auth_configs: {
    authToken: {
      auth_header_name: "authorization",
      use_param: true,
      param_name: "t",
      use_cookie: true,
      cookie_name: "t",
    },
  },
};

const definitions = (target: string): Json[] => [
  keyed("token", target, "/token.Api", places),
  keyed("basic", target, "/basic.Api", { use_standard_auth: false, use_basic_auth: true, auth_configs: {} }),
  keyed("jwt", target, "/jwt.Api", jwt),
  keyed("ends", target, "/ends.Api", { expiration: "2020-01-01 00:00" }),
];

/** Definitions that restrict in a way that cannot be kept: their paths are closed, never open. */
const BROKEN: [says: string, more: Json][] = [
  ["a method of authentication that we have not", { use_oauth2: true }],
  ["a plugin of its own", { enable_coprocess_auth: true }],
  ["a way to sign that does not exist", { ...jwt, jwt_signing_method: "none" }],
  ["no place for a credential", { auth_configs: { authToken: { disable_header: true } } }],
  ["an identity of a method that is off", { base_identity_provided_by: "basic_auth_user" }],
  ["an address that is none", { enable_ip_whitelisting: true, allowed_ips: ["10.0.0.0/99"] }],
  ["a time that is none", { expiration: "tomorrow" }],
  ["a list of the wrong type", { version_data: { versions: { Default: { paths: { white_list: "all" } } } } }],
  [
    "a pattern that takes for ever",
    {
      version_data: {
        versions: { Default: { use_extended_paths: true, extended_paths: { black_list: [{ path: "^(a+)+$" }] } } },
      },
    },
  ],
];

const policies: Record<string, Json> = {
  good: { org_id: "test", active: true, quota_max: -1, access_rights: rights(["token", "jwt"]) },
};

onBothHomes("what is wrong", (home) => {
  let world: World;
  let caller: Caller;
  let control: Control;
  let key = "";
  let workers: number[] = [];
  before(async () => {
    world = await World.start({ home, definitions, policies, workers: 2 });
    caller = world.caller();
    control = world.control();
    key = (await control.key({ access_rights: rights(["token", "basic"]) })).key;
    await control.key({ access_rights: rights(["basic"]), basic_auth_data: { password: "right" } }, "user");
    workers = await world.gateway().workers();
  });
  after(() => world?.stop());

  /** The gateway is what it was: the same workers, and they serve. */
  const isWell = async (): Promise<void> => {
    assert.equal(await caller.code("/token.Api/M", token(key)), OK);
    assert.deepEqual(await world.gateway().workers(), workers);
    assert.doesNotMatch(world.gateway().logs, /unhandled|uncaught/i);
  };

  it("a definition that has ended says so", async () => {
    const seen = await caller.call("/ends.Api/M", token(key));
    assert.equal(seen.code, PERMISSION_DENIED);
    assert.match(seen.message, /API has expired/);
  });

  it("sessions of wrong types are refused by the control API and by the gate", async () => {
    const wrong: unknown[] = [
      [],
      "session",
      { access_rights: [] },
      { access_rights: { token: { versions: "all" } } },
      { access_rights: rights(["token"]), rate: "many" },
      { access_rights: rights(["token"]), is_inactive: "no" },
      { access_rights: rights(["token"]), basic_auth_data: "password" },
      { access_rights: rights({ token: { allowed_urls: [{ url: "(", methods: ["POST"] }] } }) },
      { access_rights: rights({ token: { endpoints: [{ path: "^(a+)+$", methods: [] }] } }) },
    ];
    for (const session of wrong) {
      const made = await control.ask("POST", "/tyk/keys/wrong", session);
      assert.equal(made.status, 400, JSON.stringify(session));
    }
    assert.equal((await control.ask("POST", "/tyk/keys/ab", { access_rights: rights(["token"]) })).status, 400);
    assert.equal((await control.ask("POST", "/tyk/keys/empty", { org_id: "test" })).status, 500);
    for (const name of ["wrong", "empty"])
      assert.equal(await caller.code("/token.Api/M", token(name)), UNAUTHENTICATED);
    await isWell();
  });

  it("credentials of any bytes are refused, and nothing breaks", async () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all).toString("latin1"));
    const words = fc.array(
      fc.constantFrom(
        "Basic ",
        "Bearer ",
        "bearer",
        " ",
        ":",
        "=",
        ";",
        "t=",
        ".",
        "eyJ",
        "{}",
        "\0",
        "\r\n",
        "%00",
        "%",
        "é",
        "a",
        "/",
      ),
      { maxLength: 30 },
    );
    const encoded = bytes.map((text) => `Basic ${Buffer.from(text, "latin1").toString("base64")}`);
    const tokens = bytes.map((text) =>
      Buffer.from(`{"org":"test","id":${JSON.stringify(text)},"h":"sha256"}`).toString("base64"),
    );
    const parts = fc
      .tuple(bytes, bytes, bytes)
      .map((all) => all.map((text) => Buffer.from(text, "latin1").toString("base64url")).join("."));
    const value = fc.oneof(
      bytes,
      words.map((all) => all.join("")),
      encoded,
      tokens,
      parts,
    );
    const samples = fc.sample(value, { seed: SEED, numRuns: 200 });
    const client = await WireClient.ready(world.gateway().port);
    client.habits.credits = true;
    let refused = 0;
    try {
      for (const [n, text] of samples.entries()) {
        for (const api of ["token", "basic", "jwt"]) {
          const place: Field[] = n % 4 === 3 ? [["cookie", `t=${text}`]] : [["authorization", text]];
          const stream = client.newStream();
          client.send(headers(stream, block(...grpcRequest(`/${api}.Api/M`), ...place), { end: true }));
          const answer = await client.message(stream);
          const fields = new Map([...answer.fields, ...answer.trailers].map((field) => [field.name, field.value]));
          // A value that no field may have (RFC 9113, 8.2.1) breaks its own stream and nothing else.
          if (answer.reset !== undefined && fields.size === 0) continue;
          assert.ok(
            ["16", "7"].includes(fields.get("grpc-status") ?? ""),
            `${api} ${JSON.stringify(text)}: ${fields.get("grpc-status")}`,
          );
          refused += 1;
        }
      }
    } finally {
      client.socket.destroy();
    }
    assert.ok(refused > 200, `${refused} were judged`);
    await isWell();
  });

  it("the same credentials over HTTP are never answered with 5xx", async () => {
    const text = fc.string({ unit: "grapheme-ascii", maxLength: 200 }).map((one) => one.trim() || "x");
    for (const [n, one] of fc.sample(text, { seed: SEED, numRuns: 60 }).entries()) {
      const fields = n % 2 === 0 ? token(one) : basic(one);
      for (const api of ["token", "basic", "jwt"]) {
        const seen = await caller.http(`/${api}.Api/M?t=${encodeURIComponent(one)}`, fields);
        assert.ok(seen.status >= 400 && seen.status < 500, `${api} ${JSON.stringify(one)}: ${seen.status}`);
      }
    }
    await isWell();
  });

  it("bodies of any kind at the control API are never answered with an internal error", async () => {
    const paths = [
      "/tyk/keys/create",
      "/tyk/keys/fuzz",
      "/tyk/keys/preview",
      "/tyk/policies/fuzz",
      "/tyk/apis",
      "/tyk/org/keys/test",
    ];
    const bodies = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .record({
          access_rights: fc.jsonValue(),
          org_id: fc.jsonValue(),
          rate: fc.jsonValue(),
          apply_policies: fc.jsonValue(),
        })
        .map((one) => JSON.stringify(one)),
    );
    const ask = async (path: string, body: string): Promise<[number, string]> => {
      const answer = await fetch(`http://127.0.0.1:${world.gateway().controlPort}${path}`, {
        method: "POST",
        headers: { "x-tyk-authorization": SECRET },
        body,
      });
      return [answer.status, await answer.text()];
    };
    for (const body of fc.sample(bodies, { seed: SEED, numRuns: 30 })) {
      for (const path of paths) {
        const [code, text] = await ask(path, body);
        assert.ok(code < 500 || !text.includes("Internal error"), `${path} ${body}: ${code} ${text}`);
        JSON.parse(text);
      }
    }
    await isWell();
  });

  it("a flood of unknown keys is refused and the known ones go on", async () => {
    const codes = new Set<number>();
    for (let round = 0; round < 5; round++) {
      const batch = Array.from({ length: 100 }, (_, n) => caller.code("/token.Api/M", token(`flood-${round}-${n}`)));
      for (const code of await Promise.all(batch)) codes.add(code);
    }
    assert.deepEqual([...codes], [UNAUTHENTICATED]);
    await isWell();
  });

  it("broken definitions close their paths at a reload, and the others stay", async () => {
    for (const [n, [, more]] of BROKEN.entries()) {
      const broken = keyed(`broken${n}`, world.service.target, `/broken${n}.Api`, more);
      writeFileSync(join(world.gateway().appPath, `broken${n}.json`), JSON.stringify(broken));
    }
    const refused = await control.ask("GET", "/tyk/reload?block=true");
    assert.equal(refused.status, 400);
    assert.match(String(refused.body["message"]), /broken0\.json \$\.use_oauth2/);
    const open = (await control.key({ access_rights: rights(BROKEN.map((_, n) => `broken${n}`)) })).key;
    const before = world.service.calls;
    for (const [n, [says]] of BROKEN.entries()) {
      for (const fields of [{}, token(open)]) assert.notEqual(await caller.code(`/broken${n}.Api/M`, fields), OK, says);
    }
    assert.equal(world.service.calls, before);
    for (const n of BROKEN.keys()) rmSync(join(world.gateway().appPath, `broken${n}.json`));
    await control.reload();
    await isWell();
  });

  it("each broken definition is refused by the control API and by a reload, with its place", async () => {
    const places = [
      "use_oauth2",
      "enable_coprocess_auth",
      "jwt_signing_method",
      "auth_configs",
      "base_identity_provided_by",
      "allowed_ips",
      "expiration",
      "version_data.versions.Default.paths.white_list",
      "version_data.versions.Default.extended_paths.black_list",
    ];
    for (const [n, [says, more]] of BROKEN.entries()) {
      const broken = keyed("broken", world.service.target, "/broken.Api", more);
      const posted = await control.ask("POST", "/tyk/apis", broken);
      assert.equal(posted.status, 400, says);
      assert.ok(String(posted.body["message"]).includes(`$.${places[n]}`), `${says}: ${posted.body["message"]}`);
      writeFileSync(join(world.gateway().appPath, "broken.json"), JSON.stringify(broken));
      const refused = await control.ask("GET", "/tyk/reload?block=true");
      assert.equal(refused.status, 400, says);
      assert.ok(String(refused.body["message"]).includes(`broken.json $.${places[n]}`), says);
    }
    rmSync(join(world.gateway().appPath, "broken.json"));
    await control.reload();
    await isWell();
  });

  it("broken policies are no policies: a reload with them keeps what was, or leaves them out", async () => {
    const made = (await control.key({ apply_policies: ["good"] })).key;
    const unusable = {
      good: { access_rights: rights({ token: { allowed_urls: [{ url: "(", methods: ["POST"] }] } }) },
    };
    for (const text of [
      "{",
      "[]",
      '{"good": 5}',
      '{"good": {"rate": "x"}}',
      '{"bad": {"access_rights": []}}',
      JSON.stringify(unusable),
    ]) {
      writeFileSync(world.policyFile, text);
      const answer = await control.ask("GET", "/tyk/reload?block=true");
      assert.ok(answer.status === 200 || answer.status === 400, `${text}: ${answer.status}`);
      const code = await caller.code("/token.Api/M", token(made));
      assert.ok(code === OK || code === PERMISSION_DENIED, `${text}: ${code}`);
      const other = await caller.code("/basic.Api/M", token(made));
      assert.notEqual(other, OK);
    }
    writeFileSync(world.policyFile, JSON.stringify(policies));
    await control.reload();
    assert.equal(await caller.code("/token.Api/M", token(made)), OK);
    await isWell();
  });

  it("no credential stands in a log", async () => {
    await eventually("the log has something", () => world.gateway().logs.length > 0);
    for (const text of [key, "user:right", "dXNlcjpyaWdodA", SECRET]) assert.ok(!world.gateway().logs.includes(text));
  });
});

describe("a gateway whose definitions are broken from the start", () => {
  let world: World;
  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions: (target) => [
        keyed("good", target, "/good.Api"),
        ...BROKEN.map(([, more], n) => keyed(`broken${n}`, target, `/broken${n}.Api`, more)),
      ],
    });
  });
  after(() => world?.stop());

  for (const [n, [says]] of BROKEN.entries()) {
    it(`${says}: the path is closed`, async () => {
      const { key } = await world.control().key({ access_rights: rights([`broken${n}`]) });
      for (const fields of [{}, token(key)])
        assert.notEqual(await world.caller().code(`/broken${n}.Api/M`, fields), OK);
      assert.equal(world.service.calls, 0);
    });
  }

  it("the others are served", async () => {
    const { key } = await world.control().key({ access_rights: rights(["good"]) });
    assert.equal(await world.caller().code("/good.Api/M", token(key)), OK);
  });
});
