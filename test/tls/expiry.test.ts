// Certificates near their end: when they are told of, how often, and the numbers for the metrics.
// Governed by: issue, item 2; Tyk's security.certificate_expiry_monitor. Time is given.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { pino } from "pino";
import { ExpiryMonitor } from "../../src/primary/expiry.js";
import { readCertificate } from "../../src/shared/certificates/certificate.js";
import type { Certificates } from "../../src/shared/certificates/collection.js";
import { settingsWith } from "../model/fixture.js";
import { type Made, make } from "./certificates.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly certificate: string;
  readonly subject: string;
  readonly daysLeft?: number;
}

let soon: Made;
let fine: Made;
const rules = settingsWith({}).security.certificate_expiry_monitor;

before(async () => {
  [soon, fine] = await Promise.all([make({ name: "soon", until: 20 }), make({ name: "fine", until: 90 })]);
});

function record(made: Made): Certificates[string] {
  const read = readCertificate(made.pem, "");
  assert.ok(!("problem" in read));
  return read;
}

function monitor(): { lines: Line[]; clock: { now: number }; watching: ExpiryMonitor } {
  const lines: Line[] = [];
  const clock = { now: Date.now() };
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { lines, clock, watching: new ExpiryMonitor(log, () => clock.now) };
}

test("Tyk's times are the defaults", () => {
  assert.deepEqual(rules, {
    warning_threshold_days: 30,
    check_cooldown_seconds: 3_600,
    event_cooldown_seconds: 86_400,
  });
});

test("one that ends within the threshold is told at once, another is not", () => {
  const { lines, watching } = monitor();
  watching.watch({ "/etc/soon.pem": record(soon), [`acme${fine.fingerprint}`]: record(fine) }, rules);
  watching.stop();
  assert.equal(lines.length, 1);
  const [line] = lines;
  assert.deepEqual(
    [line!.level, line!.msg, line!.certificate, line!.subject, line!.daysLeft],
    [40, "certificate expires soon", "/etc/soon.pem", "soon", 19],
  );
});

test("it is told again once a day, and when it has expired, however lately it was told before", () => {
  const { lines, clock, watching } = monitor();
  const certificates = { "/etc/soon.pem": record(soon) };
  watching.watch(certificates, rules);
  clock.now += HOUR;
  watching.check();
  watching.watch(certificates, rules);
  assert.equal(lines.length, 1, "a reload repeats nothing");
  clock.now += DAY;
  watching.check();
  assert.equal(lines.length, 2);
  const end = watching.expiries[0]!.notAfter;
  clock.now = end - 1;
  watching.check();
  clock.now = end + 1;
  watching.check();
  watching.check();
  watching.stop();
  assert.deepEqual(
    lines.map((line) => [line.level, line.msg]),
    [
      [40, "certificate expires soon"],
      [40, "certificate expires soon"],
      [40, "certificate expires soon"],
      [50, "certificate has expired"],
    ],
  );
});

test("one that was replaced is not told of any more", () => {
  const { lines, clock, watching } = monitor();
  watching.watch({ one: record(soon) }, rules);
  watching.watch({ one: record(fine) }, rules);
  clock.now += 2 * DAY;
  watching.check();
  watching.stop();
  assert.equal(lines.length, 1);
});

test("numbers for the metrics: each certificate once, the soonest first, a PEM in place without its text", () => {
  const { watching } = monitor();
  watching.watch({ [fine.pem]: record(fine), "a.pem\na.key": record(soon), [soon.pem]: record(soon) }, rules);
  watching.stop();
  assert.deepEqual(
    watching.expiries.map(({ id, fingerprint, subject }) => [id, fingerprint, subject]),
    [
      ["a.pem", soon.fingerprint, "soon"],
      ["", fine.fingerprint, "fine"],
    ],
  );
  assert.ok(watching.expiries.every(({ notAfter }) => notAfter > Date.now()));
});
