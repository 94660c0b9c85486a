// How a definition's targets are chosen, checked and left out: our own `sluice.balance`, `sluice.health` and
// `sluice.ejection`, for which Tyk has no fields.
// Responsible for types, bounds and defaults. Must not know: targets' addresses, who applies it. Runs: once per file.

import { z } from "zod";
import { GrpcStatus } from "../grpc/status.js";
import { isObject } from "./survey.js";

const section = { error: "must be an object" };
const seconds = (min: number, max: number, fallback: number) => {
  const error = `must be a number of seconds from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error }).default(fallback);
};
const whole = (min: number, max: number, fallback: number) => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error }).default(fallback);
};
const share = (fallback: number) => {
  const error = "must be a number from 0 to 1";
  return z.number({ error }).min(0, { error }).max(1, { error }).default(fallback);
};
const weightError = "must be a whole number from 0 to 1000";

type StatusName = keyof typeof GrpcStatus;
const STATUS_NAMES = Object.keys(GrpcStatus) as [StatusName, ...StatusName[]];

/**
 * What speaks of the target rather than of the request. Those that a caller brings about at will (a short deadline, a
 * request that the service cannot read) count only where the operator says so.
 */
const FAULTY: StatusName[] = ["UNAVAILABLE", "DATA_LOSS", "INTERNAL"];

const balance = z
  .strictObject(
    {
      method: z
        .enum(["round_robin", "least_requests", "hash"], {
          error: 'must be "round_robin", "least_requests" or "hash"',
        })
        .default("round_robin"),
      /** For "hash": calls with the same value of this field go to the same target. */
      hash_header: z
        .string({ error: "must be a header's name" })
        .regex(/^[a-z0-9!#$%&'*+.^_`|~-]*$/, { error: "must be a header's name in lower case" })
        .default(""),
      /** One for each entry of target_list; empty = all alike. */
      weights: z
        .array(
          z
            .number({ error: weightError })
            .int({ error: weightError })
            .min(0, { error: weightError })
            .max(1_000, { error: weightError }),
          {
            error: "must be a list of whole numbers",
          },
        )
        .default([]),
      /** A target that comes back or comes new gets its full share only after so long. */
      slow_start: seconds(0, 3_600, 0),
      /** When fewer than this share of the targets are in, all of them get calls; 0 = never. */
      panic_threshold: share(0),
    },
    section,
  )
  .prefault({});

const health = z
  .strictObject(
    {
      type: z.enum(["", "grpc", "tcp"], { error: 'must be "grpc", "tcp" or ""' }).default(""),
      /** For "grpc": what `grpc.health.v1` is asked for; empty = the server as a whole. */
      service: z
        .string({ error: "must be a service's name" })
        .max(255, { error: "must be at most 255 characters" })
        .default(""),
      /** From an answer to the next question. */
      interval: seconds(0.1, 3_600, 10),
      timeout: seconds(0.05, 60, 2),
      /** So many in a row change a target's state. */
      unhealthy_after: whole(1, 100, 3),
      healthy_after: whole(1, 100, 2),
    },
    section,
  )
  .prefault({});

const ejection = z
  .strictObject(
    {
      /** So many failed calls in a row put a target out; 0 = no such rule. */
      consecutive_failures: whole(0, 10_000, 0),
      /** So large a share of failed calls within an interval does, from `min_calls` on; 0 = no such rule. */
      failure_share: share(0),
      min_calls: whole(1, 1_000_000, 50),
      interval: seconds(0.5, 3_600, 10),
      /** The statuses of calls that failed; a lost connection or a reset always is a failure. */
      statuses: z
        .array(z.enum(STATUS_NAMES, { error: "must be the name of a gRPC status" }), { error: "must be a list" })
        .default(FAULTY),
      /** How long a target stays out at first; doubled each time in a row, up to max_time. */
      base_time: seconds(0.1, 3_600, 30),
      max_time: seconds(0.1, 86_400, 300),
      /** The share of the targets that may be out at once, ejected or unhealthy. */
      max_share: share(0.5),
    },
    section,
  )
  .prefault({});

const targetPolicy = z.object({ balance, health, ejection });

export type TargetPolicy = z.output<typeof targetPolicy>;
export type BalancePolicy = TargetPolicy["balance"];
export type HealthPolicy = TargetPolicy["health"];
export type EjectionPolicy = TargetPolicy["ejection"];

type Tell = (level: "error" | "warning", path: readonly PropertyKey[], message: string) => void;

/**
 * What a document says about its targets; undefined when it says nothing, or nothing that can be used and `tell` was
 * told. `targets` counts the entries of target_list, 1 without load balancing.
 */
export function readTargetPolicy(document: unknown, targets: number, tell: Tell): TargetPolicy | undefined {
  const own = isObject(document) ? document["sluice"] : undefined;
  if (!isObject(own) || !PARTS.some((part) => own[part] !== undefined)) return undefined;
  const read = targetPolicy.safeParse(own);
  if (read.success) {
    checkTogether(read.data, targets, tell);
    return read.data;
  }
  for (const issue of read.error.issues) {
    const unknown = issue.code === "unrecognized_keys" ? `has no setting ${issue.keys.join(", ")}` : issue.message;
    tell("error", ["sluice", ...issue.path], unknown);
  }
  return undefined;
}

const PARTS = ["balance", "health", "ejection"];

/** What no field can be told alone. */
function checkTogether({ balance, health, ejection }: TargetPolicy, targets: number, tell: Tell): void {
  const { weights } = balance;
  if (balance.method === "hash" && balance.hash_header === "")
    tell("error", ["sluice", "balance", "hash_header"], 'must name a header when the method is "hash"');
  if (balance.method !== "hash" && balance.hash_header !== "")
    tell("warning", ["sluice", "balance", "hash_header"], 'has no effect unless the method is "hash"');
  if (weights.length > 0 && weights.length !== targets)
    tell(
      "error",
      ["sluice", "balance", "weights"],
      `must hold one weight for each target, of which there are ${targets}`,
    );
  else if (weights.length > 0 && weights.every((weight) => weight === 0))
    tell("error", ["sluice", "balance", "weights"], "must not all be 0");
  if (health.type !== "grpc" && health.service !== "")
    tell("warning", ["sluice", "health", "service"], 'has no effect unless the type is "grpc"');
  if (ejection.base_time > ejection.max_time)
    tell("error", ["sluice", "ejection", "base_time"], "must not be above max_time");
}
