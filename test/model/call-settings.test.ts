// Responsible for: what a definition says about deadlines, breakers, retries and messages, and how its mistakes read.
// Must not know: what workers make of it. Governed by: Tyk's fields, spec 2.3; our own under `sluice`. Tests only.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { durationMs } from "../../src/shared/model/duration.js";
import { definitionWith, errorsOf, judge, warningsOf } from "./fixture.js";

const PATH = "$.version_data.versions.Default";
const version = (more: Record<string, unknown>) => ({
  version_data: {
    not_versioned: true,
    versions: { Default: { name: "Default", use_extended_paths: true, ...more } },
  },
});
const extended = (more: Record<string, unknown>) => version({ extended_paths: more });
const callsOf = (changes: Record<string, unknown>) => {
  const judgement = judge(definitionWith(changes));
  assert.deepEqual([...errorsOf(judgement), ...warningsOf(judgement)], []);
  return judgement.definition?.calls;
};

describe("durations as Go writes them", () => {
  for (const [text, ms] of [
    ["500ms", 500],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["250us", 0.25],
    [".5s", 500],
    ["0", 0],
  ] as const)
    test(`${text} is ${ms} ms`, () => assert.equal(durationMs(text), ms));

  for (const text of ["", "5", "5 s", "-1s", "s", "1d", "1s ", "∞"])
    test(`${JSON.stringify(text)} is none`, () => assert.ok(Number.isNaN(durationMs(text))));
});

describe("what a definition says about its calls", () => {
  test("a definition that says nothing has no settings for workers to carry", () => {
    assert.equal(callsOf({}), undefined);
    assert.equal(callsOf(extended({ hard_timeouts: [], circuit_breakers: null })), undefined);
  });

  test("hard timeouts are read in seconds or as a duration, disabled ones are left out", () => {
    const calls = callsOf(
      extended({
        hard_timeouts: [
          { path: "/a", method: "POST", timeout: 3 },
          { path: "/b", timeout: 3, duration: "500ms" },
          { path: "/c", disabled: true, timeout: 0 },
        ],
      }),
    );
    assert.deepEqual(calls?.timeouts, [
      { path: "/a", method: "POST", ms: 3_000 },
      { path: "/b", method: "", ms: 500 },
    ]);
  });

  test("the global timeout is a number of seconds or a duration, and has a switch", () => {
    assert.equal(callsOf(version({ global_enforce_timeout: 1.5 }))?.timeoutMs, 1_500);
    assert.equal(callsOf(version({ global_enforce_timeout: "90s" }))?.timeoutMs, 90_000);
    assert.equal(callsOf(version({ global_enforce_timeout: 1, global_enforce_timeout_disabled: true })), undefined);
  });

  test("a breaker has Tyk's fields and Tyk's half-open state", () => {
    const entry = { path: "/a", threshold_percent: 0.5, samples: 10, return_to_service_after: 60 };
    assert.deepEqual(callsOf(extended({ circuit_breakers: [entry] }))?.breakers, [
      { path: "/a", method: "", threshold: 0.5, samples: 10, returnMs: 60_000, halfOpen: true, statuses: [4, 14] },
    ]);
    const named = { ...entry, grpc_statuses: ["INTERNAL"] };
    assert.deepEqual(callsOf(extended({ circuit_breakers: [named] }))?.breakers[0]?.statuses, [13]);
  });

  test("retries and message limits are per API and per method", () => {
    const calls = callsOf({
      sluice: {
        retry: { statuses: ["UNAVAILABLE", "ABORTED"] },
        message_limits: { request_bytes: 1_000 },
        methods: [{ path: "/a.B/C", retry: { statuses: [] }, message_limits: { response_count: 5 } }],
      },
    });
    assert.deepEqual(calls?.retry?.statuses, [14, 10]);
    assert.equal(calls?.retry?.maxAttempts, 2);
    assert.equal(calls?.limits?.request_bytes, 1_000);
    assert.deepEqual(calls?.methods[0]?.limits, {
      request_bytes: 0,
      request_count: 0,
      response_bytes: 0,
      response_count: 5,
    });
  });

  for (const [what, changes, error] of [
    [
      "a timeout of nothing",
      extended({ hard_timeouts: [{ path: "/a" }] }),
      `${PATH}.extended_paths.hard_timeouts[0].timeout must be above 0, in timeout (seconds) or duration`,
    ],
    [
      "a timeout that is no duration",
      extended({ hard_timeouts: [{ path: "/a", duration: "soon" }] }),
      `${PATH}.extended_paths.hard_timeouts[0].duration must be a duration of at most a week such as "500ms" or "1m30s"`,
    ],
    [
      "a threshold in percent",
      extended({
        circuit_breakers: [{ path: "/a", threshold_percent: 50, samples: 1, return_to_service_after: 1 }],
      }),
      `${PATH}.extended_paths.circuit_breakers[0].threshold_percent must be a share above 0 and up to 1: as in Tyk 0.5 is half of the calls`,
    ],
    [
      "a breaker's status that does not exist",
      extended({
        circuit_breakers: [
          { path: "/a", threshold_percent: 0.5, samples: 1, return_to_service_after: 1, grpc_statuses: ["BROKEN"] },
        ],
      }),
      /circuit_breakers\[0\]\.grpc_statuses\[0\] must be one of /,
    ],
    [
      "a path that is no pattern",
      extended({ hard_timeouts: [{ path: "/a(", timeout: 1 }] }),
      /hard_timeouts\[0\]\.path cannot be used as a pattern/,
    ],
    ["a retry of OK", { sluice: { retry: { statuses: ["OK"] } } }, /^\$\.sluice\.retry\.statuses\[0\] must be one of /],
    [
      "a retry setting that does not exist",
      { sluice: { retry: { statuses: [], attempts: 3 } } },
      "$.sluice.retry has no setting attempts",
    ],
    [
      "a limit below nothing",
      { sluice: { message_limits: { request_bytes: -1 } } },
      "$.sluice.message_limits.request_bytes must be a whole number from 0 to 4294967295",
    ],
  ] as const)
    test(`${what} leaves the definition out and says where`, () => {
      const judgement = judge(definitionWith(changes as Record<string, unknown>));
      const errors = errorsOf(judgement);
      assert.equal(errors.length, 1, errors.join("\n"));
      if (typeof error === "string") assert.equal(errors[0], error);
      else assert.match(errors[0]!, error);
      assert.equal(judgement.definition, undefined);
    });
});
