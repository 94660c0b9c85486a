/**
 * What is left of a caller's own limits, for the caller (`{listen_path}/tyk/rate-limits/`).
 * Responsible for: the body of the answer. Must not know: whether the caller may ask, how it is sent.
 * Governed by: Tyk's form of it. Runs: once per caller and second at most.
 */

import { LRUCache } from "lru-cache";
import { QUOTA } from "./limits/limit.js";
import { type ApiLimits, limitsOf, type SessionLimits } from "./limits/specs.js";
import type { Questions } from "./questions.js";
import type { ListReply } from "./rights/path-lists.js";

/** What a quota's counter holds; undefined when nothing was taken yet. */
export type ReadQuota = (key: string) => Promise<{ readonly taken: number; readonly end: number } | undefined>;

/** A key that asks without end, however it words its requests, costs the store one read in this time. */
const REMEMBER_MS = 1_000;
const MAX_REMEMBERED = 1_000;

export function remembering(read: ReadQuota): ReadQuota {
  const held = new LRUCache<string, ReturnType<ReadQuota>>({ max: MAX_REMEMBERED, ttl: REMEMBER_MS });
  return (key) => {
    const known = held.get(key);
    if (known !== undefined) return known;
    const asked = read(key);
    held.set(key, asked);
    asked.catch(() => held.delete(key));
    return asked;
  };
}

const JSON_TYPE = { "content-type": "application/json" };

/** Null: the store cannot be asked. Undefined: it must be asked first. */
export function ownLimits(
  session: SessionLimits,
  { orgId, apiId, disableQuota }: ApiLimits,
  read: ReadQuota,
  questions: Questions,
  wall: number,
): ListReply | null | undefined {
  const { specs } = limitsOf(session, { orgId, apiId, disableQuota }, "leased");
  const spec = specs.find(({ kind }) => kind === QUOTA);
  let quota = { quota_max: -1, quota_remaining: -1, quota_renews: 0 };
  if (spec !== undefined) {
    const answer = questions.ask(`quota ${spec.key}`, () => read(spec.key));
    if (answer === undefined) return undefined;
    if (answer.error !== undefined) return null;
    const counter = answer.value as Awaited<ReturnType<ReadQuota>>;
    const runs = counter !== undefined && (counter.end === 0 || counter.end > wall);
    const end = runs ? counter.end : spec.perMs === 0 ? 0 : wall + spec.perMs;
    quota = {
      quota_max: spec.limit,
      quota_remaining: Math.max(0, spec.limit - (runs ? counter.taken : 0)),
      quota_renews: Math.ceil(end / 1_000),
    };
  }
  const { rate = 0, per = 0 } = session.perApi?.limit ?? session;
  const data = JSON.stringify({ quota, rate_limit: { requests: rate, per_unit: per } });
  return { code: 200, data, headers: JSON_TYPE };
}
