// Responsible for: the parts of a call's course with time given: breakers, retry budgets, message screens, what a plan's
// deadline is, and rules found for paths. Must not know: sockets. Governed by: issue 6, items 2 to 4 and 6. Tests only.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FieldStore } from "../../src/shared/http2/hpack/field.js";
import type { CallSettings } from "../../src/shared/model/call-settings.js";
import { Breaker, REFUSED } from "../../src/worker/call/breaker.js";
import { Blame } from "../../src/worker/call/call-end.js";
import { RuleBook } from "../../src/worker/call/call-rules.js";
import { fixedTimeout, Timeout, timeoutPlace } from "../../src/worker/call/departure.js";
import { MessageLimit, MessageScreen } from "../../src/worker/call/message-screen.js";
import { NEVER, NO_PUSHBACK, Retry, readPushback } from "../../src/worker/call/retry.js";
import { definitionWith, judge, settingsWith } from "../model/fixture.js";

const entry = { path: "/a", method: "", threshold: 0.5, samples: 4, returnMs: 1_000, halfOpen: true, statuses: [14] };

function breaker(changes: Partial<typeof entry> = {}) {
  const changed: boolean[] = [];
  return { changed, it: new Breaker({ ...entry, ...changes }, (open) => changed.push(open)) };
}

function calls(it: Breaker, now: number, ...blames: number[]): void {
  for (const blame of blames) it.settle(it.admit(now), blame, now);
}

describe("a breaker", () => {
  test("opens at its share of failures, not before its samples, and says so once", () => {
    const { it, changed } = breaker();
    calls(it, 0, Blame.BAD, Blame.BAD, Blame.BAD);
    assert.equal(it.isOpen, false);
    calls(it, 0, Blame.NONE, Blame.BAD);
    assert.deepEqual([it.isOpen, it.admit(999), changed], [true, REFUSED, [true]]);
  });

  test("forgets what is more than ten seconds old, however long nothing came", () => {
    const { it } = breaker();
    calls(it, 0, Blame.BAD, Blame.BAD, Blame.BAD);
    calls(it, 10_000, Blame.BAD, Blame.GOOD);
    assert.equal(it.isOpen, false);
    calls(it, 10_000_000, Blame.BAD, Blame.BAD, Blame.BAD);
    assert.equal(it.isOpen, false);
    calls(it, 10_009_999, Blame.BAD);
    assert.equal(it.isOpen, true);
  });

  test("counts nothing of a call that began before it changed", () => {
    const { it } = breaker();
    const old = it.admit(0);
    calls(it, 0, Blame.BAD, Blame.BAD, Blame.BAD, Blame.BAD);
    const trial = it.admit(1_000);
    it.settle(old, Blame.GOOD, 1_000);
    assert.equal(it.admit(1_000), REFUSED, "the trial is still out");
    it.settle(trial, Blame.GOOD, 1_100);
    assert.equal(it.isOpen, false);
    it.settle(old, Blame.BAD, 1_200);
    calls(it, 1_200, Blame.GOOD, Blame.BAD, Blame.GOOD);
    assert.equal(it.isOpen, false);
  });

  test("lets another trial through when one does not end", () => {
    const { it } = breaker();
    calls(it, 0, Blame.BAD, Blame.BAD, Blame.BAD, Blame.BAD);
    assert.notEqual(it.admit(1_000), REFUSED);
    assert.equal(it.admit(1_999), REFUSED);
    assert.notEqual(it.admit(2_000), REFUSED);
  });
});

describe("retries", () => {
  const settings = {
    statuses: [14],
    maxAttempts: 3,
    budgetShare: 0.2,
    budgetMin: 0.5,
    backoffMs: 100,
    backoffMaxMs: 150,
  };

  test("keep their budget: a share of ten seconds' calls and so many per second", () => {
    const retry = new Retry(settings);
    for (let n = 0; n < 50; n++) retry.count(n * 10);
    let taken = 0;
    while (retry.take(500)) taken++;
    assert.equal(taken, 15);
    assert.equal(retry.take(9_000), false);
    assert.equal(retry.take(10_500), true, "what was long ago is forgotten");
  });

  test("wait anywhere below a bound that grows, and no longer than the most", () => {
    const retry = new Retry(settings);
    for (let n = 0; n < 200; n++) {
      const first = retry.delay(1, NO_PUSHBACK);
      const later = retry.delay(5, NO_PUSHBACK);
      assert.ok(first >= 0 && first <= 100 && later >= 0 && later <= 150);
    }
    assert.deepEqual([retry.delay(1, 700), retry.delay(1, NEVER), retry.delay(1, 60_001)], [700, -1, -1]);
  });

  test("read a pushback as whole milliseconds or as never", () => {
    const found = ["0", "250", "-1", "", "1e3", "1234567890", " 1"].map((value) => readPushback(value));
    assert.deepEqual(found, [0, 250, NEVER, NEVER, NEVER, NEVER, NEVER]);
    assert.equal(readPushback(null), NO_PUSHBACK);
  });
});

const message = (length: number): Buffer => {
  const bytes = Buffer.alloc(5 + length, 0xee);
  bytes[0] = 0;
  bytes.writeUInt32BE(length, 1);
  return bytes;
};

describe("a message screen", () => {
  test("stops the first message over its limit wherever frames are cut, and passes what is before it", () => {
    const sizes = fc.array(fc.nat(12), { maxLength: 8 });
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.integer({ min: 1, max: 9 })),
        fc.nat(12),
        fc.nat(8),
        (lengths, cuts, bytes, count) => {
          const body = Buffer.concat(lengths.map(message));
          const bad = lengths.findIndex((length, n) => (bytes > 0 && length > bytes) || (count > 0 && n >= count));
          const whole = Buffer.concat(lengths.slice(0, bad < 0 ? lengths.length : bad).map(message));
          const screen = new MessageScreen(new MessageLimit("response", bytes, count));
          const passed: Buffer[] = [];
          const flush = (): void => {
            passed.push(Buffer.from(screen.held.subarray(0, screen.heldLength)));
            screen.heldLength = 0;
          };
          let at = 0;
          for (const cut of [...cuts, body.length]) {
            if (at >= body.length || screen.over !== null) break;
            const end = Math.min(body.length, at + cut);
            const stop = screen.screen(body, at, end);
            if (stop > at) {
              flush();
              passed.push(body.subarray(at, stop));
            }
            if (screen.over === null) screen.hold(body, stop, end);
            assert.ok(screen.over === null || screen.atBoundary);
            at = end;
          }
          assert.equal(screen.over !== null, bad >= 0);
          assert.deepEqual(Buffer.concat(passed), whole);
        },
      ),
    );
  });

  test("a message of 4 GiB is over every limit but none", () => {
    const prefix = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    const [most, none] = [0xfffffffe, 0].map((bytes) => new MessageScreen(new MessageLimit("request", bytes, 0)));
    most!.screen(prefix, 0, 5);
    none!.screen(prefix, 0, 5);
    assert.deepEqual([most!.over?.grpc, none!.over], [8, null]);
  });
});

describe("where a plan's deadline stands", () => {
  const store = new FieldStore();
  const timeout = store.field("grpc-timeout", "1S");
  const other = store.field("x-other", "1");

  test("in a gap by its number, in the plan, nowhere, or twice", () => {
    const names = [other.name, timeout.name];
    assert.equal(timeoutPlace([null, null], names), 1);
    assert.equal(timeoutPlace([other, null], names), 0);
    assert.equal(timeoutPlace([other, timeout], names), Timeout.FIXED);
    assert.equal(fixedTimeout([other, timeout]), 1_000);
    assert.equal(timeoutPlace([other], [other.name]), Timeout.NONE);
    assert.equal(timeoutPlace([timeout, null], [timeout.name, timeout.name]), Timeout.MALFORMED);
  });
});

describe("the rules of a path", () => {
  const settings = settingsWith();
  const definition = (extended: Record<string, unknown>, more: Record<string, unknown> = {}) => {
    const version = { name: "Default", use_extended_paths: true, extended_paths: extended, ...more };
    const changes = {
      version_data: { not_versioned: true, versions: { Default: version } },
      proxy: { listen_path: "/api/" },
    };
    const found = judge(definitionWith(changes), settings).definition;
    assert.ok(found);
    return found;
  };
  const book = () => new RuleBook(() => {});

  test("the first timeout that fits counts, below the listen path or as a whole, for its method", () => {
    const found = definition(
      {
        hard_timeouts: [
          { path: "^/a.B/One$", method: "POST", timeout: 1 },
          { path: "/a.B/", timeout: 2 },
          { path: "/api/c", timeout: 3 },
        ],
      },
      { global_enforce_timeout: 9 },
    );
    const rules = book().compile([found], settings)[0]!;
    const bound = (method: string, path: string) => rules.ruleFor(method, path)?.boundMs;
    assert.equal(bound("POST", "/api/a.B/One"), 1_000);
    assert.equal(bound("POST", "/api/a.B/One?x=/c"), 1_000);
    assert.equal(bound("GET", "/api/a.B/One"), 2_000);
    assert.equal(bound("POST", "/api/c"), 3_000);
    assert.equal(bound("POST", "/api/d"), 9_000);
  });

  test("a path that nothing is said about has no rule at all", () => {
    const rules = book().compile([definition({ hard_timeouts: [{ path: "/zz", timeout: 1 }] })], settings)[0]!;
    assert.equal(rules.ruleFor("POST", "/api/b"), null);
    assert.deepEqual(book().compile([definition({})], settings), [null]);
  });

  test("a reload keeps the breakers whose entry is the same, and no others", () => {
    const threshold = { threshold_percent: 1, samples: 1, return_to_service_after: 60 };
    const one = definition({ circuit_breakers: [{ path: "/a", ...threshold }] });
    const two = definition({
      circuit_breakers: [
        { path: "/b", ...threshold },
        { path: "/a", ...threshold },
      ],
    });
    const all = book();
    const breakerOf = (served: typeof one) => all.compile([served], settings)[0]!.ruleFor("POST", "/api/a")!.breaker!;
    const before = breakerOf(one);
    assert.equal(breakerOf(two), before);
    const without: CallSettings = { ...two.calls!, breakers: [] };
    all.compile([{ ...two, calls: without }], settings);
    assert.notEqual(breakerOf(two), before);
  });
});
