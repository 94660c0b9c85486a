import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Packr } from "msgpackr";
import { lint } from "../../src/primary/lint.js";
import { loadConfiguration } from "../../src/primary/loader.js";
import { prettify, printProblem } from "../../src/shared/model/problem.js";
import { compileRoutes } from "../../src/worker/route/table.js";
import { definitionWith, folderWith } from "./fixture.js";

const api = (api_id: string, listen_path: string, more: Record<string, unknown> = {}) =>
  definitionWith({ api_id, name: api_id, ...more, proxy: { listen_path } });
const strict = { http_server_options: { enable_strict_routes: true } };

test("a folder of good definitions loads without a problem, in the order of file names", (t) => {
  const { conf } = folderWith(t, strict, { "b.json": api("b", "/b"), "a.json": api("a", "/a"), "note.txt": "x" });
  const loaded = loadConfiguration(conf, {});
  assert.deepEqual(loaded.problems, []);
  assert.deepEqual(
    loaded.definitions.map((d) => d.api_id),
    ["a", "b"],
  );
  assert.equal(loaded.fatal, false);
  assert.deepEqual(lint(conf, {}), { problems: [], exitCode: 0 });
});

test("what is loaded survives the way to a worker unchanged", (t) => {
  const { conf } = folderWith(t, strict, {
    "a.json": api("a", "/a"),
    "b.json": api("b", "/b", { internal: true }),
  });
  const loaded = loadConfiguration(conf, {});
  const coder = new Packr({ useRecords: false });
  assert.deepEqual(coder.decode(coder.encode(loaded)), loaded);
});

test("lint names every problem of a folder of broken definitions", (t) => {
  const { conf, apps } = folderWith(t, strict, {
    "01-good.json": api("good", "/"),
    "02-comma.json": '{\n  "api_id": "comma",\n  "proxy": {"listen_path": "/comma",}\n}',
    "03-array.json": [],
    "04-auth.json": api("auth", "/auth", { use_keyless: false, use_oauth2: true }),
    "05-duplicate.json": api("good", "/duplicate"),
    "06-path.json": api("path", ""),
    "07-target.json": definitionWith({
      api_id: "target",
      name: "target",
      proxy: { listen_path: "/t", target_url: "http://a" },
    }),
    "08-port.json": api("port", "/port", { listen_port: 6000 }),
    "09-kind.json": api("kind", "/kind", { listen_port: "x", active: "yes" }),
    "10-unknown.json": api("unknown", "/unknown", { colour: "red" }),
    "11-same-path.json": api("same", "/unknown"),
    "12-oas-oas.json": {},
    "13-protocol.json": api("protocol", "/protocol", { protocol: "tls" }),
  });
  const { problems, exitCode } = lint(conf, {});
  assert.equal(exitCode, 1);
  const lines = problems.map((problem) => printProblem(problem).replaceAll(`${apps}/`, ""));
  const expected: RegExp[] = [
    /^warning: 12-oas-oas\.json: is a companion/,
    /^error: 02-comma\.json: is not JSON at line 3, column 37: expected a key in double quotes/,
    /^error: 03-array\.json \$ .*: must be an object/,
    /^error: 04-auth\.json \$\.use_oauth2 \[auth\]: .*authentication/,
    /^error: 05-duplicate\.json \$\.api_id \[good\]: is taken already by .*01-good\.json/,
    /^error: 06-path\.json \$\.proxy\.listen_path \[path\]: must not be empty/,
    /^error: 07-target\.json \$\.proxy\.target_url \[target\]: .*h2c:\/\/.*\(found "http:\/\/a"\)$/,
    /^error: 08-port\.json \$\.listen_port \[port\]: opens port 6000 for http.*\(found 6000\)$/,
    /^error: 09-kind\.json \$\.active \[kind\]: must be true or false \(found "yes"\)$/,
    /^error: 09-kind\.json \$\.listen_port \[kind\]: must be a port .*\(found "x"\)$/,
    /^warning: 10-unknown\.json \$\.colour \[unknown\]: is not a known field/,
    /^error: 11-same-path\.json \$\.proxy\.listen_path \[same\]: is the listen path already of/,
    /^error: 13-protocol\.json \$\.protocol \[protocol\]: must be/,
  ];
  for (const pattern of expected)
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern} in\n${lines.join("\n")}`,
    );
  assert.equal(lines.length, expected.length, lines.join("\n"));
});

test("definitions are left out one by one, the others are served", (t) => {
  const { conf } = folderWith(t, strict, {
    "a.json": api("a", "/a"),
    "b.json": api("b", "/b", { internal: true }),
    "c.json": "{",
  });
  const loaded = loadConfiguration(conf, {});
  assert.equal(loaded.fatal, false);
  assert.deepEqual(
    loaded.definitions.map((d) => d.api_id),
    ["a"],
  );
  assert.deepEqual(
    loaded.left_out.map(({ name, reason }) => [name.split("/").at(-1), reason.split(":")[0]]),
    [
      [
        "b",
        "$.internal calls between APIs inside the gateway are not supported, so it would be open to everyone; not served with it",
      ],
      ["c.json", "is not JSON at line 1, column 2"],
    ],
  );
});

test("calls to a definition that was left out never reach an API with a shorter listen path", (t) => {
  const { conf } = folderWith(
    t,
    {},
    {
      "a.json": api("a", "/"),
      "b.json": api("b", "/admin.Service", { internal: true }),
      "c.json": '{"api_id": "c", "proxy": {"listen_path": "/secret.Service"},, }',
      "d.json": api("d", "/expired/{x:.*}/y", { internal: true }),
    },
  );
  const { settings, definitions, closed } = loadConfiguration(conf, {});
  const table = compileRoutes(settings!, definitions, closed);
  assert.equal(table.match(8080, "h", "/other.Service/Get")?.api_id, "a");
  assert.equal(table.match(8080, "h", "/admin.Service/Get"), null);
  assert.equal(table.match(8080, "h", "//admin.Service/Get"), null);
  assert.equal(table.match(8080, "h", "/x/../admin.Service/Get"), null);
  assert.equal(table.match(8080, "h", "/secret.Service/Get"), null);
  assert.equal(table.match(8080, "h", "/expired/1/y"), null);
});

test("a folder without an active definition is served empty, with a warning", (t) => {
  for (const apps of [{}, { "a.json": api("a", "/a", { active: false }) }]) {
    const { fatal, problems, ports } = loadConfiguration(folderWith(t, {}, apps).conf, {});
    assert.equal(fatal, false);
    assert.equal(ports.length, 1);
    assert.match(prettify(problems), /^warning: .*apps: holds no active definition: nothing is served yet$/);
  }
});

test("a folder of nothing but broken definitions, no folder and no settings are fatal, each in a line", (t) => {
  const lines = (conf: string | undefined, env: Record<string, string> = {}) => {
    const { fatal, problems } = loadConfiguration(conf, env);
    assert.equal(fatal, true);
    return prettify(problems);
  };
  assert.match(
    lines(folderWith(t, {}, { "a.json": api("a", "/a", { internal: true }) }).conf),
    /nothing is left to serve: all 1 active definitions were left out$/m,
  );
  assert.match(
    lines(folderWith(t, { app_path: "/no/such/folder" }, {}).conf),
    /tyk\.conf \$\.app_path: cannot be read \(ENOENT\): .* \(found "\/no\/such\/folder"\)/,
  );
  assert.match(
    lines(folderWith(t, {}, {}).conf, { TYK_GW_APPPATH: "/no/such/folder" }),
    /^error: environment TYK_GW_APPPATH: cannot be read \(ENOENT\)/,
  );
  assert.match(lines("/no/such/tyk.conf"), /^error: \/no\/such\/tyk\.conf: cannot be read \(ENOENT\)$/);
  assert.match(
    lines(folderWith(t, '{\n "listen_port" 1}', {}).conf),
    /is not JSON at line 2, column 16: expected : after the key/,
  );
  assert.match(lines(folderWith(t, { listen_port: -1 }, {}).conf), /\$\.listen_port: must be a whole number/);
});

test("TYK_GW_OMITCONFIGFILE ignores the file, and variables alone configure", (t) => {
  const { apps } = folderWith(t, "not JSON", { "a.json": api("a", "/a") });
  const env = { TYK_GW_OMITCONFIGFILE: "true", TYK_GW_APPPATH: apps, TYK_GW_LISTENPORT: "9000" };
  const loaded = loadConfiguration("/no/such/file", env);
  assert.deepEqual(loaded.problems, []);
  assert.equal(loaded.ports[0]?.port, 9000);
});

test("a definition that is a folder is left out like any other that cannot be read", (t) => {
  const { conf, apps } = folderWith(t, {}, { "a.json": api("a", "/a") });
  mkdirSync(join(apps, "b.json"));
  const loaded = loadConfiguration(conf, {});
  assert.equal(loaded.fatal, false);
  assert.match(loaded.left_out[0]?.reason ?? "", /cannot be read \(EISDIR\)/);
});

test("lint warns where one listen path runs on into another's name, unless routes are strict", (t) => {
  const apps = {
    "a.json": api("a", "/pkg.Service"),
    "b.json": api("b", "/pkg.ServiceTwo"),
    "c.json": api("c", "/pkg.Service/Method"),
    "d.json": api("d", "/pkg.ServiceOff", { active: false }),
    "e.json": api("e", "/"),
  };
  const loose = lint(folderWith(t, {}, apps).conf, {});
  assert.equal(loose.exitCode, 0);
  assert.deepEqual(
    loose.problems.map((p) => [p.level, p.api, /runs on into (\S+) of/.exec(p.message)?.[1]]),
    [
      ["warning", "a", "/pkg.ServiceTwo"],
      ["warning", "a", "/pkg.ServiceOff"],
    ],
  );
  assert.deepEqual(lint(folderWith(t, strict, apps).conf, {}), { problems: [], exitCode: 0 });
});

test("lint says what the timeouts and the flush interval mean here, where they are set", (t) => {
  const settings = {
    http_server_options: { enable_strict_routes: true, enable_http2: false, read_timeout: 5, flush_interval: 1 },
    proxy_default_timeout: 3,
  };
  const { conf } = folderWith(t, settings, { "a.json": api("a", "/a") });
  const { problems, exitCode } = lint(conf, { TYK_GW_HTTPSERVEROPTIONS_WRITETIMEOUT: "5" });
  assert.equal(exitCode, 0);
  assert.deepEqual(
    problems.map((p) => p.path),
    [
      "$.http_server_options.read_timeout",
      "TYK_GW_HTTPSERVEROPTIONS_WRITETIMEOUT",
      "$.http_server_options.flush_interval",
      "$.proxy_default_timeout",
      "$.http_server_options.enable_http2",
    ],
  );
  for (const { message } of problems) assert.match(message, /never|no effect|as long as it likes/);
});

test("a name from a file cannot start a line of its own in the output", (t) => {
  const { conf } = folderWith(t, {}, { "a.json": api("a\nerror: forged\u001b[2J", "/a", { internal: true }) });
  for (const line of prettify(lint(conf, {}).problems).split("\n"))
    assert.match(line, /^(error|warning): \S+\.json|^error: \S+apps/);
});
