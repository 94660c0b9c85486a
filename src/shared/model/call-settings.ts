// What a definition says about the course of its calls: how long they may take, when a service that fails is left alone,
// what is tried again, how large and how many messages may be.
// Responsible for types, bounds and readable errors of Tyk's `hard_timeouts`, `circuit_breakers` and
// `global_enforce_timeout`, and of our own `sluice.retry`, `sluice.message_limits` and `sluice.methods`.
// Must not know: calls, workers. Runs: once per file at load; the result travels to workers as plain data.

import { z } from "zod";
import { GrpcStatus } from "../grpc/status.js";
import { durationMs } from "./duration.js";
import { type MatchOptions, pathProblem } from "./path-pattern.js";

export interface TimeoutEntry {
  readonly path: string;
  /** Empty: every method. */
  readonly method: string;
  readonly ms: number;
}

export interface BreakerEntry {
  readonly path: string;
  readonly method: string;
  /** Share of failed calls, above 0 and up to 1. */
  readonly threshold: number;
  readonly samples: number;
  readonly returnMs: number;
  readonly halfOpen: boolean;
  /** Numbers of the gRPC statuses that speak against the service. */
  readonly statuses: readonly number[];
}

export interface RetrySettings {
  /** Numbers of gRPC statuses. */
  readonly statuses: readonly number[];
  /** The first one included. */
  readonly maxAttempts: number;
  /** Retries per call, over the last ten seconds… */
  readonly budgetShare: number;
  /** … and so many per second beside. */
  readonly budgetMin: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
}

/** 0 = no limit. */
export interface MessageLimits {
  readonly request_bytes: number;
  readonly request_count: number;
  readonly response_bytes: number;
  readonly response_count: number;
}

export interface MethodSettings {
  readonly path: string;
  readonly retry?: RetrySettings | undefined;
  readonly limits?: MessageLimits | undefined;
}

export interface CallSettings {
  /** 0 = none. */
  readonly timeoutMs: number;
  readonly timeouts: readonly TimeoutEntry[];
  readonly breakers: readonly BreakerEntry[];
  readonly retry?: RetrySettings | undefined;
  readonly limits?: MessageLimits | undefined;
  /** The first that fits counts, each of its settings instead of the API's. */
  readonly methods: readonly MethodSettings[];
  readonly ignoreCase: boolean;
}

/** Go writes `null` for what is empty. */
const orAbsent = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === null ? undefined : value), schema.optional());
const flag = orAbsent(z.boolean({ error: "must be true or false" }));
const text = orAbsent(z.string({ error: "must be a string" }));
const list = <Schema extends z.ZodType>(schema: Schema) => orAbsent(z.array(schema, { error: "must be a list" }));
const path = z.string({ error: "must be a string" });

const WEEK_MS = 604_800_000;
const SPAN = 'must be a duration of at most a week such as "500ms" or "1m30s"';
const span = orAbsent(
  z.union([z.string(), z.number()], { error: SPAN }).transform((value, context) => {
    const ms = typeof value === "number" ? value * 1_000 : durationMs(value);
    if (ms >= 0 && ms <= WEEK_MS) return ms;
    context.addIssue({ code: "custom", message: SPAN });
    return z.NEVER;
  }),
);

const within = (min: number, max: number, what = "a number") => {
  const error = `must be ${what} from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
};
const whole = (min: number, max: number) => within(min, max, "a whole number").int({ error: `must be a whole number` });

const hardTimeout = z
  .object(
    {
      disabled: flag,
      path,
      method: text,
      timeout: orAbsent(within(0, WEEK_MS / 1_000, "a number of seconds")),
      duration: span,
    },
    { error: "must be an object" },
  )
  .refine((entry) => entry.disabled === true || timeoutOf(entry) > 0, {
    error: "must be above 0, in timeout (seconds) or duration",
    path: ["timeout"],
  });

const STATUS_NAMES = Object.keys(GrpcStatus).filter((name) => name !== "OK");
const STATUS = `must be one of ${STATUS_NAMES.join(", ")}`;
const statuses = z
  .array(z.enum(STATUS_NAMES as [string, ...string[]], { error: STATUS }), { error: "must be a list" })
  .transform((names) => names.map((name) => GrpcStatus[name as keyof typeof GrpcStatus]));

/**
 * Those of a service that is not there. INTERNAL and UNKNOWN are not among them: many servers give them to a request they
 * cannot make sense of, and whoever sends such requests would close the method to everybody.
 */
export const FAULTY_STATUSES: readonly number[] = [GrpcStatus.DEADLINE_EXCEEDED, GrpcStatus.UNAVAILABLE];

const SHARE = "must be a share above 0 and up to 1: as in Tyk 0.5 is half of the calls";
const breaker = z.object(
  {
    disabled: flag,
    path,
    method: text,
    threshold_percent: z.number({ error: SHARE }).gt(0, { error: SHARE }).max(1, { error: SHARE }),
    samples: whole(1, 1_000_000),
    return_to_service_after: within(0.001, 86_400, "a number of seconds"),
    disable_half_open_state: flag,
    /** Ours. */
    grpc_statuses: orAbsent(statuses),
  },
  { error: "must be an object" },
);

const retry = z
  .strictObject(
    {
      statuses,
      max_attempts: whole(1, 5).default(2),
      budget: within(0, 1, "a share").default(0.2),
      budget_min: within(0, 1_000, "a number of calls per second").default(3),
      backoff: within(0, 60, "a number of seconds").default(0.05),
      backoff_max: within(0, 60, "a number of seconds").default(1),
    },
    { error: objectError },
  )
  .transform(
    (it): RetrySettings => ({
      statuses: it.statuses,
      maxAttempts: it.max_attempts,
      budgetShare: it.budget,
      budgetMin: it.budget_min,
      backoffMs: it.backoff * 1_000,
      backoffMaxMs: it.backoff_max * 1_000,
    }),
  );

const bytes = whole(0, 0xffff_ffff).default(0);
const count = whole(0, 0x7fff_ffff).default(0);
const limits = z.strictObject(
  { request_bytes: bytes, request_count: count, response_bytes: bytes, response_count: count },
  { error: objectError },
);

const own = orAbsent(
  z.looseObject(
    {
      retry: orAbsent(retry),
      message_limits: orAbsent(limits),
      methods: list(
        z.strictObject({ path, retry: orAbsent(retry), message_limits: orAbsent(limits) }, { error: objectError }),
      ),
    },
    { error: "must be an object" },
  ),
);

/** Of our own settings an unknown one is an error. */
function objectError(issue: { readonly code?: string; readonly keys?: readonly string[] }): string {
  return issue.code === "unrecognized_keys" ? `has no setting ${issue.keys?.join(", ")}` : "must be an object";
}

const version = z.looseObject({
  ignore_endpoint_case: flag,
  use_extended_paths: flag,
  global_enforce_timeout: span,
  global_enforce_timeout_disabled: flag,
  extended_paths: orAbsent(z.looseObject({ hard_timeouts: list(hardTimeout), circuit_breakers: list(breaker) })),
});

const versionData = orAbsent(
  z.looseObject({ default_version: text, versions: orAbsent(z.record(z.string(), z.unknown())) }),
);

type Refuse = (path: readonly PropertyKey[], message: string) => void;

function timeoutOf(entry: { readonly timeout?: number | undefined; readonly duration?: number | undefined }): number {
  return entry.duration || (entry.timeout ?? 0) * 1_000;
}

/** What a document says; undefined when it says nothing, or nothing that can be used and `refuse` was told. */
export function readCallSettings(document: unknown, matching: MatchOptions, refuse: Refuse): CallSettings | undefined {
  const source = (typeof document === "object" && document !== null ? document : {}) as Record<string, unknown>;
  const ours = parsed(own, source["sluice"], ["sluice"], refuse);
  const data = versionData.safeParse(source["version_data"]);
  const [found, name] = data.success ? served(data.data) : [undefined, ""];
  const at = ["version_data", "versions", name];
  const rules = found === undefined ? undefined : parsed(version, found, at, refuse);
  const extended = rules?.use_extended_paths === true ? rules.extended_paths : undefined;
  const settings: CallSettings = {
    timeoutMs: rules?.global_enforce_timeout_disabled === true ? 0 : (rules?.global_enforce_timeout ?? 0),
    timeouts: (extended?.hard_timeouts ?? [])
      .filter((entry) => entry.disabled !== true)
      .map((entry) => ({ path: entry.path, method: entry.method ?? "", ms: timeoutOf(entry) })),
    breakers: (extended?.circuit_breakers ?? [])
      .filter((entry) => entry.disabled !== true)
      .map((entry) => ({
        path: entry.path,
        method: entry.method ?? "",
        threshold: entry.threshold_percent,
        samples: entry.samples,
        returnMs: entry.return_to_service_after * 1_000,
        halfOpen: entry.disable_half_open_state !== true,
        statuses: entry.grpc_statuses ?? FAULTY_STATUSES,
      })),
    retry: ours?.retry,
    limits: ours?.message_limits,
    methods: (ours?.methods ?? []).map((entry) => ({
      path: entry.path,
      retry: entry.retry,
      limits: entry.message_limits,
    })),
    ignoreCase: matching.ignoreCase || rules?.ignore_endpoint_case === true,
  };
  checkPatterns(extended, at, ours, matching, refuse);
  return saysNothing(settings) ? undefined : settings;
}

function parsed<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  at: readonly PropertyKey[],
  refuse: Refuse,
): z.output<Schema> | undefined {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  for (const issue of read.error.issues) refuse([...at, ...issue.path], issue.message);
  return undefined;
}

/** As for the gate: a definition that is not versioned has the version called Default. */
function served(data: z.output<typeof versionData>): [unknown, string] {
  const versions = data?.versions ?? {};
  const name = [data?.default_version, "Default"].find((each) => each && Object.hasOwn(versions, each));
  const chosen = name ?? Object.keys(versions)[0];
  return chosen === undefined ? [undefined, ""] : [versions[chosen], chosen];
}

type Extended = z.output<typeof version>["extended_paths"];

function checkPatterns(
  extended: Extended,
  at: readonly PropertyKey[],
  ours: z.output<typeof own>,
  matching: MatchOptions,
  refuse: Refuse,
): void {
  const searching: MatchOptions = { ...matching, plain: "regex" };
  const check = (source: string, place: readonly PropertyKey[], options: MatchOptions): void => {
    const problem = pathProblem(source, options);
    if (problem !== "") refuse([...place, "path"], `cannot be used as a pattern: ${problem}`);
  };
  for (const name of ["hard_timeouts", "circuit_breakers"] as const)
    extended?.[name]?.forEach((entry, n) => {
      if (entry.disabled !== true) check(entry.path, [...at, "extended_paths", name, n], searching);
    });
  ours?.methods?.forEach((entry, n) => {
    check(entry.path, ["sluice", "methods", n], matching);
  });
}

function saysNothing(it: CallSettings): boolean {
  const rules = it.timeouts.length + it.breakers.length + it.methods.length;
  return it.timeoutMs === 0 && rules === 0 && it.retry === undefined && it.limits === undefined;
}
