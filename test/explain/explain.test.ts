// Responsible for: what an operator is told about a call, compared with what becomes of that call; that asking costs
// nobody a unit and shows nobody's credential. Governed by: issue 6, item 8.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { fileURLToPath } from "node:url";
import { status } from "@grpc/grpc-js";
import { type Explanation, explanationText } from "../../src/shared/explanation.js";
import { basic, type Caller, type Fields, token } from "../gate/caller.js";
import { type Control, type Json, rights } from "../gate/control.js";
import { extended, keyed, World } from "../gate/world.js";
import { keyless } from "../support/gateway.js";
import { until } from "../support/waiting.js";

const NOBODY = "h2c://127.0.0.1:1";

const definitions = (target: string): Json[] => [
  keyless({
    id: "open",
    path: "/open.Api",
    target,
    more: { sluice: { methods: [{ path: "/open.Api/Big", message_limits: { request_bytes: 10 } }] } },
  }),
  keyed("keys", target, "/keys.Api", {
    strip_auth_data: true,
    global_rate_limit: { rate: 1_000, per: 1 },
    version_data: {
      not_versioned: true,
      versions: {
        Default: {
          name: "Default",
          use_extended_paths: true,
          global_headers: { "X-Team": "$tyk_meta.team", "X-Upstream-Token": "very hidden" },
          global_headers_remove: ["x-debug"],
          extended_paths: {
            black_list: [{ path: "/keys.Api/Black", method: "POST" }],
            ignored: [{ path: "/keys.Api/Ignored", method: "POST" }],
            url_rewrites: [
              { path: "/keys.Api/Old", method: "POST", match_pattern: "/keys.Api/Old", rewrite_to: "/keys.Api/New" },
            ],
            hard_timeouts: [{ path: "/keys.Api/Slow", method: "POST", timeout: 7 }],
          },
        },
      },
    },
  }),
  keyed("basic", target, "/basic.Api", { use_standard_auth: false, use_basic_auth: true, auth_configs: {} }),
  keyed("param", target, "/param.Api", {
    auth_configs: { authToken: { use_param: true, param_name: "key" } },
    ...extended({
      url_rewrites: [
        {
          path: "/param.Api/",
          method: "POST",
          match_pattern: "/param.Api/Copy.*key=(\\w+)",
          rewrite_to: "/param.Api/$1",
        },
      ],
    }),
  }),
  keyless({
    id: "down",
    path: "/down.Api",
    target: NOBODY,
    more: { sluice: { health: { type: "tcp", interval: 0.1, unhealthy_after: 1 } } },
  }),
  keyless({ id: "away", path: "/away.Api", target: NOBODY }),
  {
    ...keyless({ id: "broken", path: "/open.Api/Closed", target }),
    enable_ip_whitelisting: true,
    allowed_ips: ["nowhere"],
  },
];

describe("what would become of a call", () => {
  let world: World;
  let caller: Caller;
  let control: Control;
  let good = "";
  let narrow = "";

  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions,
      policies: {
        gold: {
          org_id: "test",
          active: true,
          rate: 500,
          per: 1,
          quota_max: 50,
          quota_renewal_rate: 3_600,
          access_rights: rights(["keys", "param"]),
        },
      },
    });
    caller = world.caller();
    control = world.control();
    ({ key: good } = await control.key({ apply_policies: ["gold"], meta_data: { team: "blue" } }));
    ({ key: narrow } = await control.key({
      access_rights: rights({ keys: { allowed_urls: [{ url: "/keys.Api/Only", methods: ["POST"] }] } }),
      quota_max: 2,
      quota_renewal_rate: 3_600,
    }));
    await control.key({ access_rights: rights(["basic"]), basic_auth_data: { password: "pass:word" } }, "someone");
  });
  after(() => world?.stop());

  async function ask(path: string, fields: Fields = {}, more: Json = {}): Promise<Explanation> {
    const answer = await control.ask("POST", "/tyk/debug/explain", { path, headers: Object.entries(fields), ...more });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body as unknown as Explanation;
  }

  const cases: [string, string, () => Fields, number][] = [
    ["an open method", "/open.Api/Any", () => ({}), status.OK],
    ["a path without a definition", "/nobody.Api/Any", () => ({}), status.UNIMPLEMENTED],
    ["a path that stays closed", "/open.Api/Closed", () => ({}), status.UNIMPLEMENTED],
    ["a method that needs a key, without one", "/keys.Api/Any", () => ({}), status.UNAUTHENTICATED],
    ["an unknown key", "/keys.Api/Any", () => token("nobodys-key"), status.UNAUTHENTICATED],
    ["a known key", "/keys.Api/Any", () => token(`Bearer ${good}`), status.OK],
    ["a method of a black list", "/keys.Api/Black", () => token(good), status.PERMISSION_DENIED],
    ["a method that is ignored", "/keys.Api/Ignored", () => ({}), status.OK],
    ["a method that is rewritten", "/keys.Api/Old", () => token(good), status.OK],
    ["a method outside of allowed_urls", "/keys.Api/Any", () => token(narrow), status.PERMISSION_DENIED],
    ["a method within allowed_urls", "/keys.Api/Only", () => token(narrow), status.OK],
    ["an API outside of the key's rights", "/param.Api/Any", () => token(narrow), status.PERMISSION_DENIED],
    ["a right password", "/basic.Api/Any", () => basic("someone:pass:word"), status.OK],
    ["a wrong password", "/basic.Api/Any", () => basic("someone:guess"), status.UNAUTHENTICATED],
    ["a path of another form", "/keys.Api//Any", () => token(good), status.INVALID_ARGUMENT],
  ];
  for (const [what, path, fields, code] of cases)
    it(`is told as it becomes: ${what}`, async () => {
      const told = await ask(path, fields());
      assert.equal(told.outcome.grpc, code, explanationText(told));
      assert.equal(told.outcome.forwarded, code === status.OK);
      const seen = await caller.call(path, fields());
      assert.equal(seen.code, code);
      if (code !== status.OK) assert.equal(told.outcome.message, seen.message);
    });

  const saysOf = (told: Explanation, what: string): string =>
    told.steps
      .filter((step) => step.what === what)
      .map((step) => step.says)
      .join("\n");

  it("names definition, list, policy, limits, rewrite, changed fields, times and target", async () => {
    const old = await ask("/keys.Api/Old", { ...token(good), "x-debug": "1" });
    assert.match(saysOf(old, "definition"), /^keys "keys" in .*\.json$/);
    assert.match(saysOf(old, "route"), /listen path \/keys\.Api/);
    assert.match(saysOf(old, "credential"), /auth_token \(header authorization\): is known/);
    assert.match(saysOf(old, "key"), /with the policies gold/);
    assert.match(saysOf(old, "limits"), /rate of the key: 500 calls in 1 s/);
    assert.match(saysOf(old, "limits"), /quota of the key: 50 calls in 3600 s, \d+ used/);
    assert.match(saysOf(old, "limits"), /rate of the API: 1000 calls in 1 s/);
    assert.match(saysOf(old, "strip"), /header authorization/);
    assert.equal(saysOf(old, "rewrite"), "to /keys.Api/New");
    assert.equal(saysOf(old, "request"), "loses x-debug\ngets x-team: $tyk_meta.team\ngets x-upstream-token: (hidden)");
    assert.match(
      saysOf(old, "target"),
      new RegExp(`http://127\\.0\\.0\\.1:${world.service.port} \\(h2c\\) as .*/keys\\.Api/New`),
    );
    assert.equal(
      saysOf(await ask("/keys.Api/Slow", token(good)), "time"),
      "at most 7000 ms (hard_timeouts, global_enforce_timeout); the caller sets none",
    );
    assert.match(
      saysOf(await ask("/open.Api/Any", { "grpc-timeout": "5S" }), "time"),
      /no bound .* grpc-timeout is 5S/,
    );
    const unread = await ask("/open.Api/Any", { "grpc-timeout": "5x" });
    assert.match(saysOf(unread, "time"), /cannot be read/);
    assert.deepEqual(
      [unread.outcome.forwarded, unread.outcome.grpc, unread.outcome.counted],
      [false, status.INTERNAL, "bad_timeout"],
    );
    assert.match(saysOf(await ask("/open.Api/Any"), "messages"), /^no limit/);
    assert.match(
      saysOf(await ask("/keys.Api/Black", token(good)), "lists"),
      /black_list\[0\] "\/keys\.Api\/Black": it is forbidden/,
    );
    assert.match(saysOf(await ask("/open.Api/Closed"), "route"), /belongs to broken, which was left out/);
    assert.match(saysOf(await ask("/open.Api/Big"), "messages"), /of the request: messages of at most 10 octets each/);
    assert.match(saysOf(await ask("/open.Api/Any", {}, { port: 9 }), "port"), /9 is not served/);
    assert.match((await ask("/open.Api/Any", { te: "gzip" })).outcome.message, /PROTOCOL_ERROR/);
  });

  it("says for a refused call which setting or field of the key decides", async () => {
    const deciderFor = async (path: string, fields: Fields): Promise<string> =>
      saysOf(await ask(path, fields), "decides");
    const made = async (it: Json): Promise<Fields> => token((await control.key(it)).key);
    assert.match(await deciderFor("/keys.Api/Any", {}), /auth_configs/);
    assert.match(await deciderFor("/keys.Api/Any", token("nobodys-key")), /no such key of organisation "test"/);
    assert.match(
      await deciderFor("/keys.Api/Any", token(narrow)),
      /^access_rights\.keys\.allowed_urls of the key: no entry fits POST \/keys\.Api\/Any; they name POST \/keys\.Api\/Only$/,
    );
    assert.match(
      await deciderFor("/param.Api/Any?key=x", token(narrow)),
      /auth_configs of the definition looks is no credential/,
    );
    assert.match(await deciderFor("/keys.Api/Black", token(good)), /black_list/);
    const expired = await made({ access_rights: rights(["keys"]), expires: 1_000 });
    assert.match(
      await deciderFor("/keys.Api/Any", expired),
      /^expires of the key: 1970-01-01T00:16:40\.000Z has passed$/,
    );
    const elsewhere = await made({ access_rights: rights(["param"]) });
    assert.match(await deciderFor("/keys.Api/Any", elsewhere), /access_rights of the key has no keys; it names param/);
    const inactive = await made({ access_rights: rights(["keys"]), is_inactive: true });
    assert.match(await deciderFor("/keys.Api/Any", inactive), /^is_inactive of the key/);
  });

  for (const [path, counted, state, why] of [
    ["/down.Api/Any", "targets_down", /, down by its health check$/, /^no target is in: health checks/],
    ["/away.Api/Any", "unreachable", /, cannot be reached at the moment$/, /^no target can be connected to/],
  ] as const)
    it(`says that calls are refused for want of a target, as they are: ${counted}`, async () => {
      let told = await ask(path);
      await until("the worker knows how its target is", async () => {
        told = await ask(path);
        return !told.outcome.forwarded;
      });
      assert.deepEqual([told.outcome.grpc, told.outcome.counted], [status.UNAVAILABLE, counted]);
      assert.match(saysOf(told, "target"), state);
      assert.match(saysOf(told, "decides"), why);
      const seen = await caller.call(path);
      assert.deepEqual([seen.code, seen.message], [told.outcome.grpc, told.outcome.message]);
    });

  it("takes a path as callers write it, with scheme, host and port", async () => {
    const port = world.gateway().port;
    for (const before of [`http://127.0.0.1:${port}`, "https://api.example.org", `h2c://[::1]:${port}`]) {
      const told = await ask(`${before}/open.Api/Any`);
      assert.equal(told.outcome.forwarded, true, explanationText(told));
      assert.match(saysOf(told, "port"), new RegExp(`^${port} `));
    }
    assert.match(saysOf(await ask("http://127.0.0.1:9/open.Api/Any"), "port"), /9 is not served/);
  });

  it("takes no unit of a limit", async () => {
    for (let n = 0; n < 10; n++) assert.equal((await ask("/keys.Api/Only", token(narrow))).outcome.forwarded, true);
    // One of two was used by the case above.
    assert.equal(await caller.code("/keys.Api/Only", token(narrow)), status.OK);
    assert.equal(await caller.code("/keys.Api/Only", token(narrow)), status.RESOURCE_EXHAUSTED);
    let told = await ask("/keys.Api/Only", token(narrow));
    // What was used is in the counter when the worker has reported it.
    await until("the counter has it", async () => {
      told = await ask("/keys.Api/Only", token(narrow));
      return !told.outcome.forwarded;
    });
    assert.equal(told.outcome.grpc, status.RESOURCE_EXHAUSTED);
    assert.equal(told.outcome.message, "Quota exceeded");
    assert.match(saysOf(told, "limits"), /quota of the key: 2 calls in 3600 s, 2 used/);
  });

  it("never shows a credential, wherever a call carries it", async () => {
    const told = [
      await ask("/keys.Api/Any", token(`Bearer ${good}`)),
      await ask("/keys.Api/Any", { ...token("nobodys-key"), cookie: "session=cookie-value" }),
      await ask("/basic.Api/Any", basic("someone:pass:word")),
      await ask(`/param.Api/Copy?key=${good}`),
    ];
    assert.match(saysOf(told[3]!, "rewrite"), /to \/param\.Api\/\(hidden\)/);
    const text = JSON.stringify(told);
    for (const secret of [good, "nobodys-key", "pass:word", "cookie-value", "very hidden"])
      assert.ok(!text.includes(secret), secret);
  });

  it("needs the secret, and says what is wrong with a question", async () => {
    const port = world.gateway().controlPort;
    const stranger = await fetch(`http://127.0.0.1:${port}/tyk/debug/explain`, {
      method: "POST",
      body: '{"path":"/x/y"}',
    });
    assert.equal(stranger.status, 403);
    for (const [question, why] of [
      [{}, /path/],
      [{ path: "x" }, /\$\.path must be a path/],
      [{ path: "/x", port: 70_000 }, /\$\.port must be a port/],
      [{ path: "/x", headers: ["no colon"] }, /\$\.headers\[0\]/],
      [{ path: "/x", headers: [["a b", "c"]] }, /\$\.headers\[0\]/],
      [{ path: "/x", headers: Array.from({ length: 65 }, () => "a: b") }, /\$\.headers/],
      [{ path: "/x", peer: "somewhere" }, /\$\.peer must be an address/],
      [{ path: "/x", unknown: 1 }, /must be an object of/],
    ] as const) {
      const { status: code, body } = await control.ask("POST", "/tyk/debug/explain", question);
      assert.equal(code, 400);
      assert.match(String(body["message"]), why);
    }
    assert.equal((await control.ask("GET", "/tyk/debug/explain")).status, 405);
  });
});

const MAIN = fileURLToPath(new URL("../../src/primary/main.js", import.meta.url));

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(folder: string, ...args: string[]): Promise<Printed> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, "explain", "--conf", join(folder, "tyk.conf"), ...args]);
    let out = "";
    let err = "";
    child.stdout.on("data", (text: Buffer) => {
      out += text.toString();
    });
    child.stderr.on("data", (text: Buffer) => {
      err += text.toString();
    });
    child.on("close", (code) => resolve({ code: code ?? -1, out, err }));
  });
}

test("the command line explains by the files alone, in words and as JSON, and its exit code says whether", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-explain-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "apps"));
  const conf = { listen_port: 8_080, app_path: join(folder, "apps"), storage: { path: join(folder, "store") } };
  writeFileSync(join(folder, "tyk.conf"), JSON.stringify(conf));
  const write = (it: Json): void =>
    writeFileSync(join(folder, "apps", `${String(it["api_id"])}.json`), JSON.stringify(it));
  write(keyless({ id: "open", path: "/open.Api", target: "h2c://127.0.0.1:1" }));
  write(keyed("keys", "h2c://127.0.0.1:1", "/keys.Api"));
  const open = await run(folder, "--path", "/open.Api/Any", "--header", "x-a: b", "--authority", "example.org");
  assert.equal(open.code, 0, open.err);
  assert.match(open.out, /^definition\s+open "open" in .*open\.json$/m);
  assert.match(open.out, /^The call would be forwarded\.$/m);
  const refused = await run(folder, "--path", "/keys.Api/Any", "--header", "authorization: some-key", "--json");
  assert.equal(refused.code, 1, refused.err);
  const told = JSON.parse(refused.out) as Explanation;
  assert.equal(told.outcome.counted, "credential_unknown");
  assert.ok(!refused.out.includes("some-key"));
  const wrong = await run(folder, "--path", "no-path");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /\$\.path must be a path/);
});
