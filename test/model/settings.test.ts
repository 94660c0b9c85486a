import assert from "node:assert/strict";
import { test } from "node:test";
import { readValue } from "../../src/shared/config/environment.js";
import { readSettings } from "../../src/shared/config/read.js";
import { engineLimits } from "../../src/shared/config.js";
import { DOWNSTREAM_LIMITS, UPSTREAM_LIMITS } from "../../src/shared/http2/limits.js";
import { printProblem } from "../../src/shared/model/problem.js";
import { settingsWith } from "./fixture.js";

const files: Record<string, string> = { "/run/secret": "from a file\n", "/run/empty": "" };

function read(document: unknown, env: Record<string, string> = {}) {
  const readFile = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    return text;
  };
  return readSettings(document, "tyk.conf", { env, readFile });
}

function errors(document: unknown, env: Record<string, string> = {}): string[] {
  return read(document, env)
    .problems.filter((p) => p.level === "error")
    .map(printProblem);
}

test("empty settings are complete", () => {
  const settings = settingsWith();
  assert.equal(settings.listen_port, 8080);
  assert.equal(settings.app_path, "apps/");
  assert.equal(settings.http_server_options.read_timeout, 120);
  assert.equal(settings.http_server_options.write_timeout, 120);
  assert.equal(settings.proxy_default_timeout, 30);
  assert.equal(settings.upstream.connect_timeout, 30);
  assert.equal(settings.graceful_shutdown_timeout_duration, 30);
  assert.equal(settings.health_check_endpoint_name, "hello");
  assert.equal(settings.readiness_check_endpoint_name, "ready");
  assert.equal(settings.secret, "");
  assert.equal(settings.accept, "least_connections");
});

test("the engine's limits are its own defaults unless a setting changes one", () => {
  const settings = settingsWith({ engine: { downstream: { max_frame_size: 32_768 } } });
  assert.deepEqual(engineLimits(settings, "upstream"), UPSTREAM_LIMITS);
  assert.deepEqual(engineLimits(settings, "downstream"), { ...DOWNSTREAM_LIMITS, maxFrameSize: 32_768 });
});

test("zero and null mean the default where Tyk's zero value does", () => {
  const settings = settingsWith({
    http_server_options: { read_timeout: 0, write_timeout: null },
    proxy_default_timeout: 0,
    app_path: "",
    health_check_endpoint_name: null,
  });
  assert.equal(settings.http_server_options.read_timeout, 120);
  assert.equal(settings.http_server_options.write_timeout, 120);
  assert.equal(settings.proxy_default_timeout, 30);
  assert.equal(settings.app_path, "apps/");
  assert.equal(settings.health_check_endpoint_name, "hello");
});

test("connecting is bounded by proxy_default_timeout unless upstream says otherwise", () => {
  assert.equal(settingsWith({ proxy_default_timeout: 5 }).upstream.connect_timeout, 5);
  assert.equal(
    settingsWith({ proxy_default_timeout: 5, upstream: { connect_timeout: 2 } }).upstream.connect_timeout,
    2,
  );
});

test("max_conn_time bounds the age of upstream connections", () => {
  assert.equal(settingsWith({ max_conn_time: 90 }).upstream.max_age, 90);
  assert.equal(settingsWith().upstream.max_age, 3600);
});

test("the control port is bound where the main port is unless it has an address", () => {
  assert.equal(settingsWith({ listen_address: "127.0.0.1" }).control_api_address, "127.0.0.1");
  assert.equal(
    settingsWith({ listen_address: "10.0.0.1", control_api_address: "127.0.0.1" }).control_api_address,
    "127.0.0.1",
  );
});

test("a setting of the wrong kind or out of bounds names its path, what was found and what is allowed", () => {
  const cases: [unknown, string][] = [
    [{ listen_port: "8080" }, '$.listen_port: must be a whole number from 1 to 65535 (found "8080")'],
    [{ listen_port: 0 }, "$.listen_port: must be a whole number from 1 to 65535 (found 0)"],
    [{ http_server_options: { read_timeout: -1 } }, "$.http_server_options.read_timeout: must be a number of seconds"],
    [{ http_server_options: [] }, "$.http_server_options: must be an object"],
    [{ enable_custom_domains: 1 }, "$.enable_custom_domains: must be true or false (found 1)"],
    [{ accept: "random" }, '"least_connections", "round_robin", "shared" (found "random")'],
    [{ log_level: "loud" }, "$.log_level: must be one of"],
    [{ engine: { downstream: { max_frame_size: 1 } } }, "$.engine.downstream.max_frame_size: must be a whole number"],
    [{ engine: { upstream: { connection_window: 65_535 } } }, "must not be below max_stream_window"],
    [{ upstream: { min_connections: 9 } }, "$.upstream.min_connections: must not be above max_connections (found 9)"],
    [{ upstream: { max_age_jitter: 2 } }, "$.upstream.max_age_jitter: must be a number from 0 to 1"],
    [{ ports_whitelist: { udp: {} } }, "$.ports_whitelist.udp: must be one of http, https, h2c, tcp, tls"],
    [{ ports_whitelist: { http: { ports: [0] } } }, "$.ports_whitelist.http.ports[0]: must be a port from 1 to 65535"],
    [{ ports_whitelist: { http: { ranges: [{ from: 9, to: 8 }] } } }, "must not end before it begins"],
    [{ control_api_port: 8080 }, "$.control_api_port: must not be listen_port"],
    [{ readiness_check_endpoint_name: "hello" }, "must not be health_check_endpoint_name"],
    [{ listen_address: "http://0.0.0.0" }, "$.listen_address: must be an address or a host name without a scheme"],
    [[], "tyk.conf $: must be an object (found [])"],
    ["text", 'tyk.conf $: must be an object (found "text")'],
  ];
  for (const [document, expected] of cases) {
    const found = errors(document);
    assert.equal(found.length, 1, `${JSON.stringify(document)} gives ${found.join(" and ")}`);
    assert.ok(found[0]?.includes(expected), `${found[0]} should hold ${expected}`);
  }
});

test("all problems of the settings are found at once", () => {
  assert.equal(errors({ listen_port: -1, workers: 1.5, accept: 3 }, { TYK_GW_CONTROLAPIPORT: "x" }).length, 4);
});

test("a setting that asks for protection which is not there makes the settings unusable", () => {
  const cases = [
    { http_server_options: { min_version: 772, max_version: 771 } },
    { http_server_options: { ssl_ciphers: ["TLS_WITH_NOTHING"] } },
    { http_server_options: { max_request_body_size: 10 } },
    { security: { control_api_use_mutual_tls: true } },
    { use_db_app_configs: true },
    { slave_options: { use_rpc: true } },
    { control_api_hostname: "admin" },
    { Http_Server_Options: { use_ssl: true } },
    { http_server_options: { USE_SSL: true } },
  ];
  for (const document of cases) assert.equal(errors(document).length, 1, JSON.stringify(document));
});

test("a setting that is switched off or empty is no problem, an unknown one that is set is a warning", () => {
  const { problems, settings } = read({
    http_server_options: { use_ssl: false, certificates: [], ssl_certificates: null },
    security: { certificates: { apis: [] } },
    enable_jsvm: true,
    use_db_app_configs: false,
    somthing: true,
    upstream: { max_conections: 3 },
    unset: "",
  });
  assert.notEqual(settings, undefined);
  assert.deepEqual(problems.map(printProblem), [
    "warning: tyk.conf $.somthing: is not a known field and has no effect (found true)",
    "warning: tyk.conf $.upstream.max_conections: is not a known field and has no effect; did you mean max_connections? (found 3)",
  ]);
});

test("variables follow Go's field path and win over the file", () => {
  const { settings, problems } = read(
    { listen_port: 1, secret: "file", http_server_options: { flush_interval: 5, read_timeout: 7 } },
    {
      TYK_GW_LISTENPORT: "9090",
      TYK_GW_SECRET: "variable",
      TYK_GW_HTTPSERVEROPTIONS_ENABLEHTTP2: "true",
      TYK_GW_HTTPSERVEROPTIONS_FLUSHINTERVAL: "1",
      TYK_GW_HTTPSERVEROPTIONS_ENABLESTRICTROUTES: "T",
      TYK_GW_DISABLEPORTWHITELIST: "1",
      TYK_GW_PORTWHITELIST: '{"h2c":{"ranges":[{"from":6000,"to":7000}],"ports":[50051]}}',
      TYK_GW_ENGINE_DOWNSTREAM_MAXFRAMESIZE: "32768",
      TYK_GW_GRACEFULSHUTDOWNTIMEOUTDURATION: "0.5",
      TYK_GW_APPPATH: "/etc/apps",
      TYK_GW_ACCEPT: "shared",
      TYK_GW_LOGLEVEL: "debug",
      OTHER: "x",
    },
  );
  assert.deepEqual(problems, []);
  assert.equal(settings?.listen_port, 9090);
  assert.equal(settings.secret, "variable");
  assert.equal(settings.http_server_options.flush_interval, 1);
  assert.equal(settings.http_server_options.read_timeout, 7);
  assert.equal(settings.http_server_options.enable_strict_routes, true);
  assert.equal(settings.disable_ports_whitelist, true);
  assert.deepEqual(settings.ports_whitelist, { h2c: { ranges: [{ from: 6000, to: 7000 }], ports: [50051] } });
  assert.equal(settings.engine.downstream.max_frame_size, 32_768);
  assert.equal(settings.graceful_shutdown_timeout_duration, 0.5);
  assert.equal(settings.app_path, "/etc/apps");
  assert.equal(settings.accept, "shared");
  assert.equal(settings.log_level, "debug");
});

test("a variable of a field that is not supported counts as in the file", () => {
  const { problems } = read({}, { TYK_GW_HTTPSERVEROPTIONS_MAXREQUESTBODYSIZE: "10" });
  assert.deepEqual(problems.map(printProblem), [
    "error: environment TYK_GW_HTTPSERVEROPTIONS_MAXREQUESTBODYSIZE: size limits are not supported by this version; remove it (found 10)",
  ]);
});

test("TLS of callers may be set by variables", () => {
  const { problems, settings } = read(
    {},
    {
      TYK_GW_HTTPSERVEROPTIONS_USESSL: "true",
      TYK_GW_HTTPSERVEROPTIONS_CIPHERS: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    },
  );
  assert.deepEqual(problems.map(printProblem), []);
  assert.equal(settings?.http_server_options.use_ssl, true);
  assert.deepEqual(settings?.http_server_options.ssl_ciphers, ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
});

test("a wrong variable is named instead of the file", () => {
  assert.deepEqual(
    errors(
      { listen_port: 8080 },
      {
        TYK_GW_LISTENPORT: "many",
        TYK_GW_ENABLECUSTOMDOMAINS: "yes",
        TYK_GW_PORTWHITELIST: "http:80",
        TYK_GW_HTTPSERVEROPTIONS: '{"read_timeout":"1s"}',
      },
    ),
    [
      "error: environment TYK_GW_PORTWHITELIST: must be JSON text",
      'error: environment TYK_GW_LISTENPORT: must be a whole number from 1 to 65535 (found "many")',
      'error: environment TYK_GW_HTTPSERVEROPTIONS $.read_timeout: must be a number of seconds from 0 (= 120) to 86400 (found "1s")',
      'error: environment TYK_GW_ENABLECUSTOMDOMAINS: must be true or false (found "yes")',
    ],
  );
});

test("an unknown variable is a warning, an empty one is as if it were not there", () => {
  const { settings, problems } = read({}, { TYK_GW_LISTENPRT: "1", TYK_GW_LISTENPORT: "", TYK_GW_HOSTNAME: "" });
  assert.equal(settings?.listen_port, 8080);
  assert.deepEqual(problems.map(printProblem), [
    "warning: environment TYK_GW_LISTENPRT: names no setting and has no effect",
  ]);
});

test("a secret may be a reference to a variable or a file", () => {
  assert.equal(read({ secret: "env://S" }, { S: "from a variable" }).settings?.secret, "from a variable");
  assert.equal(read({ secret: "file:///run/secret" }).settings?.secret, "from a file");
  assert.equal(read({}, { TYK_GW_SECRET: "file:///run/secret" }).settings?.secret, "from a file");
});

test("a reference that leads nowhere is an error that does not show the secret", () => {
  for (const secret of ["env://NONE", "file:///run/none", "file:///run/empty", "vault://x", "consul://x", "kv://x"]) {
    const found = errors({ secret });
    assert.equal(found.length, 1, secret);
    assert.ok(found[0]?.startsWith("error: tyk.conf $.secret: ref") || found[0]?.includes("is a "), found[0]);
  }
  assert.deepEqual(errors({ secret: ["hunter2"] }), ["error: tyk.conf $.secret: must be a string"]);
});

test("text is read as what its field holds", () => {
  assert.deepEqual(readValue("a:1, b:2", "list"), ["a:1", "b:2"]);
  assert.deepEqual(readValue("1,2", "list"), [1, 2]);
  assert.deepEqual(readValue('["a,b"]', "list"), ["a,b"]);
  assert.deepEqual(readValue('{"a":1}', "object"), { a: 1 });
  assert.equal(readValue("a=1", "object"), undefined);
  assert.equal(readValue("[1", "list"), undefined);
  assert.equal(readValue("12", "text"), "12");
  assert.equal(readValue("-1.5", "number"), -1.5);
  assert.equal(readValue("0x10", "number"), "0x10");
  assert.equal(readValue("FALSE", "boolean"), false);
  assert.equal(readValue("off", "boolean"), "off");
});
