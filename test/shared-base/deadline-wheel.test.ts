// Responsible for: the wheel of deadlines against a list that is searched. Must not know: calls, timers.
// Governed by: never early, at most a tick late, once. How often: tests only.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { DeadlineWheel, TICK_MS, type Timed } from "../../src/shared/base/deadline-wheel.js";

class Entry implements Timed {
  due = 0;
  slot = -1;
  next: Timed | null = null;
  previous: Timed | null = null;
  fired = 0;
  constructor(readonly name: number) {}
}

const HOUR = 3_600_000;

describe("the wheel of deadlines", () => {
  test("hands out each entry once, never early, and at most a tick late", () => {
    const near = fc.integer({ min: 0, max: 3_000 });
    const far = fc.integer({ min: 0, max: 200 * HOUR });
    const step = fc.oneof(
      fc.record({ kind: fc.constant("put" as const), name: fc.nat(30), value: fc.oneof(near, far) }),
      fc.record({ kind: fc.constant("remove" as const), name: fc.nat(30), value: fc.constant(0) }),
      fc.record({ kind: fc.constant("pass" as const), name: fc.constant(0), value: fc.oneof(near, near, far) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 7 }), fc.array(step, { maxLength: 80 }), (start, steps) => {
        let now = start;
        const wheel = new DeadlineWheel<Entry>(now);
        const entries = Array.from({ length: 31 }, (_, name) => new Entry(name));
        const waiting = new Map<Entry, number>();
        const look = (): void => {
          const before = new Map(waiting);
          wheel.expire(now, (entry) => {
            const due = before.get(entry);
            assert.ok(due !== undefined && waiting.delete(entry), `${entry.name} once`);
            assert.ok(due <= now, `${entry.name} early`);
          });
          for (const due of waiting.values()) assert.ok(now < due + TICK_MS, `late: ${due} at ${now}`);
          assert.equal(wheel.size, waiting.size);
        };
        for (const { kind, name, value } of steps) {
          const entry = entries[name]!;
          if (kind === "put") {
            wheel.put(entry, now + value, now);
            waiting.set(entry, now + value);
          } else if (kind === "remove") {
            wheel.remove(entry);
            waiting.delete(entry);
          } else {
            // As its owner turns it: whenever something may be due, and once more at the end.
            const end = now + value;
            for (let at = wheel.nextLook(); at <= end; at = wheel.nextLook()) {
              now = Math.max(now + 1, at);
              look();
            }
            now = Math.max(now, end);
            look();
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a pause of any length is caught up with at once", () => {
    const wheel = new DeadlineWheel<Entry>(0);
    const entries = [5, 1_100, 70_000, HOUR, 90 * HOUR].map((due, name) => ({ due, entry: new Entry(name) }));
    for (const { due, entry } of entries) wheel.put(entry, due, 0);
    const met: number[] = [];
    wheel.expire(100 * HOUR, (entry) => met.push(entry.name));
    assert.deepEqual(met, [0, 1, 2, 3, 4]);
    assert.equal(wheel.nextLook(), Number.POSITIVE_INFINITY);
  });

  test("an entry that is put in while others are handed out waits for a later tick", () => {
    const wheel = new DeadlineWheel<Entry>(0);
    const entry = new Entry(0);
    wheel.put(entry, 10, 0);
    let times = 0;
    wheel.expire(20, (it) => {
      times++;
      if (times === 1) wheel.put(it, 1_000, 20);
    });
    assert.equal(times, 1);
    assert.equal(wheel.nextLook(), 1_000);
  });

  test("the same entry put in again is moved, not doubled", () => {
    const wheel = new DeadlineWheel<Entry>(0);
    const entry = new Entry(0);
    for (let due = 10; due < 1_000_000; due *= 3) wheel.put(entry, due, 0);
    assert.equal(wheel.size, 1);
    wheel.remove(entry);
    wheel.remove(entry);
    assert.equal(wheel.size, 0);
  });
});
