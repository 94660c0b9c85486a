// What a worker tells of itself: how much was counted since it told last, and how things stand now.
// Responsible for the shape, and for the order of the numbers in a method's row. Must not know: who counts, how figures are
// shown (primary/metrics). Counted things travel as increments: the primary adds them up, so that nothing is lost or
// counted twice when a worker ends. Runs: once per collection.

/** Upper bounds of the durations that are told apart, ms; a last class takes the rest. */
export const BOUNDS_MS: readonly number[] = [
  1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
];

const STATUSES = 17;

/** Where each number of a method's row stands. */
export const Row = {
  /** Ended calls by grpc-status, 0 to 16. */
  STATUS: 0,
  /** Ended calls by duration, one more than there are bounds; not cumulative. */
  DURATION: STATUSES,
  DURATION_MS: STATUSES + BOUNDS_MS.length + 1,
  REQUEST_BYTES: STATUSES + BOUNDS_MS.length + 2,
  RESPONSE_BYTES: STATUSES + BOUNDS_MS.length + 3,
  REQUEST_MESSAGES: STATUSES + BOUNDS_MS.length + 4,
  RESPONSE_MESSAGES: STATUSES + BOUNDS_MS.length + 5,
  RETRIES: STATUSES + BOUNDS_MS.length + 6,
  MOVES: STATUSES + BOUNDS_MS.length + 7,
  SIZE: STATUSES + BOUNDS_MS.length + 8,
} as const;

/** What stands for methods that have no name of their own in the figures. */
export const OTHER = "other";

export interface MethodFigures {
  readonly api: string;
  /** Empty for calls that are not gRPC. */
  readonly service: string;
  readonly method: string;
  /** A service has answered calls of this name with something else than UNIMPLEMENTED: the name is no invention. */
  readonly proven: boolean;
  /** Increments; see Row. */
  readonly row: readonly number[];
  /** Calls under way now. */
  readonly open: number;
}

/** Calls that something else than the service's response ended. */
export interface EndFigures {
  readonly api: string;
  /** An Origin of worker/call/call-end.ts, by name. */
  readonly by: string;
  readonly reason: string;
  readonly count: number;
}

/** One number beside the calls: an increment or a state, as the catalogue of its name says. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Figures {
  readonly methods: readonly MethodFigures[];
  readonly ends: readonly EndFigures[];
  readonly samples: readonly Sample[];
}

export const NO_FIGURES: Figures = { methods: [], ends: [], samples: [] };
