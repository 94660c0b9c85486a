// Kinds of settings fields: each says in one sentence what it allows, and that sentence is the message.
// Must not know: which settings exist. Runs: once, when the schema is made.

import { z } from "zod";

export function whole(min: number, max: number, fallback: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error }).default(fallback);
}

/** A duration; fractions are allowed. */
export function seconds(min: number, max: number, fallback: number) {
  const error = `must be a number of seconds from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error }).default(fallback);
}

/** As Tyk: 0 and absent are the same and mean the default. */
export function secondsOrDefault(max: number, fallback: number) {
  const error = `must be a number of seconds from 0 (= ${fallback}) to ${max}`;
  return z
    .number({ error })
    .min(0, { error })
    .max(max, { error })
    .default(0)
    .transform((value) => (value === 0 ? fallback : value));
}

export function share(fallback: number) {
  const error = "must be a number from 0 to 1";
  return z.number({ error }).min(0, { error }).max(1, { error }).default(fallback);
}

export function flag(fallback = false) {
  return z.boolean({ error: "must be true or false" }).default(fallback);
}

export function text(fallback = "") {
  return z.string({ error: "must be a string" }).default(fallback);
}

/** A path segment that the gateway answers itself. */
export function segment(fallback: string) {
  const error = "must be a name without slashes, spaces or ? and #";
  return z
    .string({ error })
    .regex(/^[^/\s?#]*$/, { error })
    .default("")
    .transform((value) => (value === "" ? fallback : value));
}

export function texts() {
  return z.array(z.string({ error: "must be a string" }), { error: "must be a list of strings" }).default([]);
}

export function textMap() {
  const error = "must be an object of strings";
  return z.record(z.string(), z.string({ error }), { error }).default({});
}

/** The lowest version offered, as Tyk numbers them; 1.0 and 1.1 may be asked for and are never offered. */
export function lowestTls() {
  return z.literal([0, 769, 770, 771, 772], { error: "must be 771 (TLS 1.2), 772 (TLS 1.3) or 0 (= 771)" }).default(0);
}

export function highestTls() {
  return z.literal([0, 771, 772], { error: "must be 771 (TLS 1.2), 772 (TLS 1.3) or 0 (= 772)" }).default(0);
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) {
  return z
    .enum(values, { error: `must be one of ${values.map((v) => JSON.stringify(v)).join(", ")}` })
    .default(fallback);
}
