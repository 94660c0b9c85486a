// What `lint` says about keys, lists and the secret.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { lint } from "../../src/primary/lint.js";
import { loadSet } from "../../src/primary/loaded-set.js";
import { openToOthers } from "../../src/primary/permissions.js";
import { folderWith, settingsWith } from "../model/fixture.js";
import { definition } from "./desk.js";

const strict = { http_server_options: { enable_strict_routes: true } };

function messages(t: TestContext, settings: Record<string, unknown>, more: Record<string, unknown> = {}): string[] {
  const { conf } = folderWith(t, { ...strict, ...settings }, { "orders.json": definition("orders", more) });
  return lint(conf, {}).problems.map(({ path, message }) => `${path} ${message}`);
}

const withList = (path: string) => ({
  version_data: {
    not_versioned: true,
    versions: { Default: { name: "Default", use_extended_paths: true, extended_paths: { white_list: [{ path }] } } },
  },
});

test("a control API that stays closed is told where keys need it", (t) => {
  const without = messages(t, { control_api_port: 8081 });
  assert.deepEqual(without, ["$.secret secret is not set: the control API answers nothing but health"]);
  const published = messages(t, { secret: "352d20ee67be67f6340b4c0605b044b7" });
  assert.match(published[0] ?? "", /^\$\.secret secret is the default that Tyk publishes/);
  assert.deepEqual(messages(t, { control_api_port: 8081, secret: "own" }), []);
});

test("a port with TLS that nothing gives a certificate is told", (t) => {
  const secure = { listen_port: 8443, http_server_options: { enable_strict_routes: true, use_ssl: true } };
  const other = { listen_port: 8443, disable_ports_whitelist: true };
  const own = messages(t, other, { protocol: "https", listen_port: 9443 });
  assert.match(own[0] ?? "", /^\$\.http_server_options port 9443 speaks TLS and nothing gives it/);
  assert.deepEqual(messages(t, secure, { certificates: ["a".repeat(64)] }), []);
});

test("use_ssl without any certificate is an error that says what to do, and starts all the same", (t) => {
  const secure = { listen_port: 8443, http_server_options: { enable_strict_routes: true, use_ssl: true } };
  const lintOf = (more: Record<string, unknown>, apps: Record<string, unknown>) => {
    const { conf } = folderWith(t, { ...secure, ...more }, apps);
    const { problems, exitCode } = lint(conf, {});
    const errors = problems.filter(({ level }) => level === "error").map(({ path, message }) => `${path} ${message}`);
    return { conf, errors, exitCode, said: problems.length };
  };
  const alone = lintOf({ control_api_port: 8444, secret: "own" }, { "orders.json": definition("orders") });
  assert.deepEqual([alone.errors.length, alone.said, alone.exitCode], [1, 1, 1]);
  assert.match(
    alone.errors[0] ?? "",
    /^\$\.http_server_options\.use_ssl is on and nothing names a certificate: .* control port 8444; name one .*ssl_certificates/,
  );
  assert.ok("set" in loadSet(alone.conf, {}));
  assert.equal(lintOf({}, {}).errors.length, 1, "also before the first definition");
});

test("misspelt names inside ways of authentication and entries of lists are told", (t) => {
  const entries = {
    hard_timeouts: [{ path: "/a", timeout: 1, methood: "POST" }],
    rate_limit: [{ path: "/a", rate: 1, per: 1, perr: 2 }],
    circuit_breakers: [{ path: "/a", threshold_percent: 1, samples: 1, return_to_service_after: 1, sampels: 4 }],
  };
  const more = {
    use_standard_auth: true,
    auth_configs: { authToken: { auth_header_nam: "x-key" } },
    version_data: {
      not_versioned: true,
      versions: { Default: { name: "Default", use_extended_paths: true, extended_paths: entries } },
    },
  };
  const told = messages(t, { control_api_port: 0 }, more).filter((each) => each.includes("did you mean"));
  const extended = "$.version_data.versions.Default.extended_paths";
  const says = "is not a known field and has no effect; did you mean";
  assert.deepEqual(told, [
    `$.auth_configs.authToken.auth_header_nam ${says} auth_header_name?`,
    `${extended}.hard_timeouts[0].methood ${says} method?`,
    `${extended}.rate_limit[0].perr ${says} per?`,
    `${extended}.circuit_breakers[0].sampels ${says} samples?`,
  ]);
});

test("an address list without trusted proxies is told what it looks at", (t) => {
  const list = { enable_ip_whitelisting: true, allowed_ips: ["10.0.0.1"] };
  assert.match(messages(t, {}, list)[0] ?? "", /^\$\.allowed_ips looks at the peer's address/);
  assert.deepEqual(messages(t, { trusted_proxies: ["10.0.0.9"] }, list), []);
});

test("a pattern that is searched anywhere in a path is told, a plain path is compared", (t) => {
  assert.match(messages(t, {}, withList("/orders.Service/.*"))[0] ?? "", /white_list\[0\]\.path is searched anywhere/);
  assert.deepEqual(messages(t, {}, withList("/orders.Service/Get")), []);
  assert.deepEqual(messages(t, {}, withList("^/orders\\.Service/(Get|Put)$")), []);
  assert.equal(messages(t, { plain_path_matching: "regex" }, withList("/orders.Service/Get")).length, 1);
});

test("policies that are broken or admit more than they say are told", (t) => {
  const { conf, apps } = folderWith(t, strict, { "orders.json": definition("orders") });
  const policies = join(dirname(apps), "policies");
  mkdirSync(policies);
  const gold = { access_rights: { orders: { allowed_urls: [{ url: "/orders.Service/G.t", methods: ["POST"] }] } } };
  writeFileSync(join(policies, "gold.json"), JSON.stringify(gold));
  writeFileSync(join(policies, "broken.json"), "{");
  writeFileSync(conf, JSON.stringify({ ...strict, app_path: apps, policies: { policy_path: policies } }));
  const { problems, exitCode } = lint(conf, {});
  assert.equal(exitCode, 1);
  assert.equal(problems.filter(({ level }) => level === "error").length, 1);
  assert.match(problems.find(({ level }) => level === "error")?.file ?? "", /broken\.json$/);
  const plain = { access_rights: { orders: { allowed_urls: [{ url: "/orders.Service/.*", methods: ["POST"] }] } } };
  writeFileSync(join(policies, "broken.json"), JSON.stringify(plain));
  const [warning] = lint(conf, {}).problems;
  assert.equal(warning?.path, "$.access_rights.orders.allowed_urls[0].url");
  assert.equal(warning?.file, join(policies, "broken.json"));
});

test("a message that is never said is told", (t) => {
  const found = messages(t, {
    override_messages: { "oauth.x": { message: "no" }, "auth.key_not_found": { code: 401 } },
  });
  assert.deepEqual(found, ['$.override_messages["oauth.x"] is never said here']);
});

test("rights to an API that no definition has are told, with the name that was probably meant", (t) => {
  const { conf, apps } = folderWith(t, strict, { "orders.json": definition("orders") });
  const policies = join(dirname(apps), "policies.json");
  const gold = { access_rights: { orders: {}, odrers: {}, billing: {} } };
  writeFileSync(policies, JSON.stringify({ gold }));
  writeFileSync(conf, JSON.stringify({ ...strict, app_path: apps, policies: { policy_record_name: policies } }));
  const { problems, exitCode } = lint(conf, {});
  assert.equal(exitCode, 0);
  const says = "no definition has this api_id: these rights open nothing";
  assert.deepEqual(
    problems.map(({ level, file, path, message }) => [level, file, path, message]),
    [
      ["warning", policies, "$.gold.access_rights.odrers", `${says}; did you mean orders?`],
      ["warning", policies, "$.gold.access_rights.billing", says],
    ],
  );
});

test("what is wrong with settings, definitions and policies is told in one go", (t) => {
  const settings = { ...strict, listen_port: "many", max_conn_time: -1, ports_whitelist: { http: { ports: ["x"] } } };
  const broken = { ...definition("orders"), proxy: { listen_path: "/orders.Service", target_url: "nowhere:" } };
  const { conf, apps } = folderWith(t, settings, { "broken.json": broken, "text.json": '{"a": 1,}' });
  const policies = join(dirname(apps), "policies.json");
  writeFileSync(policies, JSON.stringify({ gold: { rate: "ten" } }));
  const document = { ...settings, app_path: apps, policies: { policy_record_name: policies } };
  writeFileSync(conf, JSON.stringify(document));
  const { problems, exitCode } = lint(conf, {});
  assert.equal(exitCode, 1);
  const errors = problems.filter(({ level }) => level === "error").map(({ file, path }) => `${basename(file)} ${path}`);
  for (const place of [
    "tyk.conf $.listen_port",
    "broken.json $.proxy.target_url",
    "text.json ",
    "policies.json $.gold.rate",
  ])
    assert.ok(errors.includes(place), `${place} is missing in ${errors.join(", ")}`);
  const started = loadSet(conf, {});
  assert.ok(!("set" in started));
  assert.deepEqual(
    started.problems.filter(({ level }) => level === "error").map(({ file, path }) => `${basename(file)} ${path}`),
    errors,
  );
});

test("keys that stand twice are told with their place, in settings, definitions and policies", (t) => {
  const twice = JSON.stringify(definition("orders")).replace("{", '{"proxy": {},\n "name": "first", ');
  const { conf, apps } = folderWith(t, strict, {});
  writeFileSync(join(apps, "orders.json"), twice);
  const policies = join(dirname(apps), "policies.json");
  writeFileSync(policies, '{"gold": {"rate": 1, "per": 1,\n"rate": 1000}}');
  const rest = { ...strict, app_path: apps, policies: { policy_record_name: policies } };
  writeFileSync(conf, JSON.stringify(rest).replace("{", '{"app_path": "elsewhere",'));
  const { problems, exitCode } = lint(conf, {});
  assert.equal(exitCode, 0);
  const told = problems.filter(({ message }) => message.includes("once more"));
  assert.deepEqual(told.map(({ level, file, path }) => [level, basename(file), path]).sort(), [
    ["warning", "orders.json", "$.name"],
    ["warning", "orders.json", "$.proxy"],
    ["warning", "policies.json", "$.gold.rate"],
    ["warning", "tyk.conf", "$.app_path"],
  ]);
  assert.match(told.find(({ path }) => path === "$.gold.rate")?.message ?? "", /line 2, column 1/);
});

test("keys that every user of the host can read are told", (t) => {
  const { conf, apps } = folderWith(t, {}, { "orders.json": definition("orders") });
  const folder = dirname(apps);
  const store = join(folder, "store");
  mkdirSync(join(store, "durable"), { recursive: true });
  const key = join(folder, "server.pem");
  writeFileSync(key, "no key");
  const settings = settingsWith({
    http_server_options: { ssl_certificates: [key, "a".repeat(64)], certificates: [{ key_file: key }] },
    storage: { path: store },
  });
  const told = (file: number, inner: number) => {
    chmodSync(key, file);
    chmodSync(store, 0o755);
    chmodSync(join(store, "durable"), inner);
    return openToOthers(settings, [], conf).map(({ level, path, message }) => `${level} ${path} ${message}`);
  };
  assert.deepEqual(told(0o640, 0o700), []);
  assert.deepEqual(told(0o644, 0o755), [
    `warning $.http_server_options.ssl_certificates[0] ${key} holds a private key and every user of this host can read it: chmod o-r`,
    `warning $.storage.path every user of this host can read the keys in ${store}: chmod -R o-rwx`,
  ]);
  chmodSync(store, 0o700);
  assert.equal(openToOthers(settings, [], conf).length, 1);
});
