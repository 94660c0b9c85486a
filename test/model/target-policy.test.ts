// Responsible for: what a definition may say about its targets, and that lint names the place of everything else.
// Governed by: issue 6, targets. How often: tests only.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../../src/shared/config/read.js";
import { judgeDefinition } from "../../src/shared/model/definition.js";

const { settings } = readSettings({}, "sluice.json", { env: {} } as never);

function judged(sluice: unknown, proxy: object = {}, more: object = {}) {
  const document = {
    api_id: "a",
    name: "a",
    active: true,
    use_keyless: true,
    proxy: { listen_path: "/", target_url: "h2c://one:1", ...proxy },
    version_data: { not_versioned: true, versions: { Default: { name: "Default" } } },
    sluice,
    ...more,
  };
  return judgeDefinition(document, "a.json", settings!);
}

const three = { enable_load_balancing: true, target_list: ["h2c://one:1", "h2c://two:1", "h2c://three:1"] };

test("a definition that says nothing about its targets has no policy, and a part of one gets the other defaults", () => {
  assert.equal(judged(undefined).definition?.targeting, undefined);
  const found = judged({ health: { type: "tcp" } }).definition?.targeting;
  assert.deepEqual(found?.health, {
    type: "tcp",
    service: "",
    interval: 10,
    timeout: 2,
    unhealthy_after: 3,
    healthy_after: 2,
  });
  assert.deepEqual([found?.balance.method, found?.ejection.consecutive_failures], ["round_robin", 0]);
});

test("what cannot be meant is an error that names its place", () => {
  const cases: [unknown, object, string, string][] = [
    [{ balance: { method: "random" } }, {}, "$.sluice.balance.method", 'must be "round_robin"'],
    [{ balance: { method: "hash" } }, {}, "$.sluice.balance.hash_header", "must name a header"],
    [{ balance: { method: "hash", hash_header: "X-User" } }, {}, "$.sluice.balance.hash_header", "in lower case"],
    [{ balance: { weights: [1, 2] } }, three, "$.sluice.balance.weights", "of which there are 3"],
    [{ balance: { weights: [0, 0, 0] } }, three, "$.sluice.balance.weights", "must not all be 0"],
    [{ balance: { weight: [1] } }, {}, "$.sluice.balance", "has no setting weight"],
    [{ health: { type: "http" } }, {}, "$.sluice.health.type", 'must be "grpc"'],
    [{ health: { type: "tcp", interval: 0 } }, {}, "$.sluice.health.interval", "from 0.1 to 3600"],
    [{ ejection: { statuses: ["BAD"] } }, {}, "$.sluice.ejection.statuses[0]", "the name of a gRPC status"],
    [{ ejection: { base_time: 60, max_time: 30 } }, {}, "$.sluice.ejection.base_time", "must not be above max_time"],
    [{ ejection: 3 }, {}, "$.sluice.ejection", "must be an object"],
  ];
  for (const [sluice, proxy, path, message] of cases) {
    const { definition, problems } = judged(sluice, proxy);
    assert.equal(definition, undefined, path);
    const found = problems.find((problem) => problem.level === "error" && problem.path === path);
    assert.ok(found?.message.includes(message), `${path}: ${JSON.stringify(problems)}`);
  }
});

test("what has no effect is a warning", () => {
  const { definition, problems } = judged({ balance: { hash_header: "x-user" }, health: { service: "pkg.Service" } });
  assert.ok(definition !== undefined);
  assert.deepEqual(
    problems.map((problem) => [problem.level, problem.path]),
    [
      ["warning", "$.sluice.balance.hash_header"],
      ["warning", "$.sluice.health.service"],
    ],
  );
});

test("Tyk's uptime tests are warned about until health checks are asked for", () => {
  const proxy = { check_host_against_uptime_tests: true };
  const more = { uptime_tests: { check_list: [{ url: "http://one:1/" }] } };
  assert.deepEqual(
    judged(undefined, proxy, more).problems.map((problem) => problem.path),
    ["$.proxy.check_host_against_uptime_tests", "$.uptime_tests"],
  );
  assert.deepEqual(judged({ health: { type: "grpc" } }, proxy, more).problems, []);
});
