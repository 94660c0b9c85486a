// Active health: asks every target that is to be checked, in turn and in one worker for all of them, and knows from
// thresholds which are down.
// Responsible for when to ask and for what follows from the answers. Must not know: how a question is asked (probe.ts),
// who gets calls (balance/). Governed by `sluice.health`. Runs: every 100 ms in the worker that asks; elsewhere once per
// change.

import type { Logger } from "pino";
import type { HealthPolicy } from "../../shared/model/target-policy.js";
import type { Endpoint } from "./endpoint.js";
import { ConnectProbe, HealthCall, type Probe } from "./probe.js";
import type { TargetPool } from "./target-pool.js";

const SECOND = 1_000;
const STEP = 100;
/** A worker that was held up for longer than this has answers waiting that it could not read. */
const HELD_UP = 500;
/** New targets are asked within so long, so that one that is down is known soon. */
const FIRST_WITHIN = 500;
/** Share of the interval by which a question is late or early. */
const JITTER = 0.2;

/** What is known of one endpoint. */
interface Patient {
  readonly pool: TargetPool;
  readonly policy: HealthPolicy;
  askAt: number;
  /** While a question is under way: until when an answer counts; 0 otherwise. */
  until: number;
  probe: Probe | null;
  failures: number;
  successes: number;
  reason: string;
}

export interface HealthHooks {
  readonly log: Logger;
  /** The pools there are now. */
  pools(): Iterable<TargetPool>;
  now(): number;
  /** Which endpoints are down, all of them, has changed. */
  tell(down: readonly string[]): void;
}

export class HealthChecks {
  private readonly hooks: HealthHooks;
  private readonly patients = new Map<Endpoint, Patient>();
  /** As another worker or this one found out: names of endpoints that are down. */
  private down: ReadonlySet<string> = new Set();
  private timer: NodeJS.Timeout | null = null;
  private last = 0;

  constructor(hooks: HealthHooks) {
    this.hooks = hooks;
  }

  /** Whether it is this worker that asks. */
  appoint(asks: boolean): void {
    if (asks && this.timer === null) {
      this.last = this.hooks.now();
      this.timer = setInterval(() => this.step(this.hooks.now()), STEP);
    } else if (!asks) this.end();
  }

  /** What the worker that asks has found out. */
  learn(down: readonly string[]): void {
    this.down = new Set(down);
    this.apply();
  }

  /** Endpoints came or went. */
  apply(): void {
    for (const pool of this.checked()) {
      let changed = false;
      for (const endpoint of pool.endpoints) {
        const down = this.down.has(nameOf(pool, endpoint));
        if (down === endpoint.down) continue;
        endpoint.down = down;
        changed = true;
      }
      if (changed) pool.changed();
    }
  }

  end(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    for (const patient of this.patients.values()) patient.probe?.abandon();
    this.patients.clear();
  }

  step(now: number): void {
    const late = now - this.last;
    this.last = now;
    this.meet(now);
    for (const [endpoint, patient] of this.patients) {
      if (patient.until > 0 && late > HELD_UP) patient.until += late;
      if (patient.until > 0 && now >= patient.until) this.silent(endpoint, patient, now);
      else if (patient.until > 0 ? patient.probe === null : now >= patient.askAt) this.ask(endpoint, patient, now);
    }
  }

  private *checked(): Iterable<TargetPool> {
    for (const pool of this.hooks.pools()) if (pool.health !== null) yield pool;
  }

  /** Who is to be asked follows who is there. */
  private meet(now: number): void {
    const here = new Set<Endpoint>();
    for (const pool of this.checked()) {
      for (const endpoint of pool.endpoints) {
        here.add(endpoint);
        if (this.patients.has(endpoint)) continue;
        const policy = pool.health!;
        const askAt = now + Math.random() * Math.min(FIRST_WITHIN, policy.interval * SECOND);
        this.patients.set(endpoint, {
          pool,
          policy,
          askAt,
          until: 0,
          probe: null,
          failures: 0,
          successes: 0,
          reason: "",
        });
      }
    }
    if (here.size === this.patients.size) return;
    for (const [endpoint, patient] of this.patients) {
      if (here.has(endpoint)) continue;
      patient.probe?.abandon();
      this.patients.delete(endpoint);
    }
  }

  private ask(endpoint: Endpoint, patient: Patient, now: number): void {
    const { policy, pool } = patient;
    if (patient.until === 0) patient.until = now + policy.timeout * SECOND;
    const answered = (reason: string | null): void => this.answered(endpoint, patient, reason);
    if (policy.type === "tcp") patient.probe = new ConnectProbe(endpoint, answered);
    else {
      const link = endpoint.linkToAsk();
      // Tried again until the time to answer is over: the connection may be on its way.
      if (link !== null) patient.probe = new HealthCall(link, pool.authority, policy.service, answered);
    }
  }

  private silent(endpoint: Endpoint, patient: Patient, now: number): void {
    const { probe } = patient;
    patient.probe = null;
    probe?.abandon();
    // A connection without room for one more stream is busy, which is no illness.
    if (probe === null && endpoint.ready) this.later(patient, now);
    else this.judge(endpoint, patient, probe === null ? "it cannot be reached" : "no answer in time", now);
  }

  private answered(endpoint: Endpoint, patient: Patient, reason: string | null): void {
    if (patient.until === 0 || patient.probe === null) return;
    patient.probe = null;
    if (reason === null) this.later(patient, this.hooks.now());
    else this.judge(endpoint, patient, reason, this.hooks.now());
  }

  private later(patient: Patient, now: number): void {
    patient.until = 0;
    patient.askAt = now + patient.policy.interval * SECOND * (1 + JITTER * (Math.random() - 0.5));
  }

  private judge(endpoint: Endpoint, patient: Patient, reason: string, now: number): void {
    this.later(patient, now);
    const { policy } = patient;
    patient.reason = reason;
    patient.failures = reason === "" ? 0 : patient.failures + 1;
    patient.successes = reason === "" ? patient.successes + 1 : 0;
    if (!endpoint.down && patient.failures >= policy.unhealthy_after) this.change(endpoint, patient, true);
    else if (endpoint.down && patient.successes >= policy.healthy_after) this.change(endpoint, patient, false);
  }

  private change(endpoint: Endpoint, { pool, reason }: Patient, down: boolean): void {
    const { log } = this.hooks;
    const told = { endpoint: endpoint.name, host: pool.host };
    if (down) log.warn({ ...told, reason }, "target is down: its health checks fail");
    else log.info(told, "target is well again");
    const names = new Set<string>();
    for (const each of this.checked())
      for (const other of each.endpoints) if (other === endpoint ? down : other.down) names.add(nameOf(each, other));
    this.down = names;
    this.apply();
    this.hooks.tell([...names]);
  }
}

/** The same in every worker. */
function nameOf(pool: TargetPool, endpoint: Endpoint): string {
  return `${pool.key} ${endpoint.address}`;
}
