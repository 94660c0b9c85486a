// What would become of a call, in words: asked by an operator, found out by a worker with what decides about real calls.
// Responsible for the two shapes and their form as text. Must not know: how it is found out, who asks.
// No value of a caller's credential is in an answer. Runs: per request of an operator.

export interface Question {
  readonly port: number;
  readonly method: string;
  readonly authority: string;
  /** With its query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The address that the connection comes from. */
  readonly peer: string;
}

export interface Step {
  /** One word: what was looked at. */
  readonly what: string;
  /** A sentence: what was found. */
  readonly says: string;
}

export interface Outcome {
  /** It would be given to a service. */
  readonly forwarded: boolean;
  /** What a gRPC caller is told; 0 where it is forwarded. */
  readonly grpc: number;
  /** What other callers are told; 0 where it is forwarded. */
  readonly http: number;
  /** Why not, as the caller is told; empty where it is forwarded. */
  readonly message: string;
  /** What metrics count it as; empty where it is forwarded. */
  readonly counted: string;
}

export interface Explanation {
  readonly steps: readonly Step[];
  readonly outcome: Outcome;
}

export const MOST_HEADERS = 64;
export const LONGEST_TEXT = 4_096;

export function explanationText({ steps, outcome }: Explanation): string {
  const width = Math.max(...steps.map(({ what }) => what.length), 0);
  const lines = steps.map(({ what, says }) => `${what.padEnd(width)}  ${says}`);
  lines.push("", outcomeText(outcome), "");
  return lines.join("\n");
}

function outcomeText({ forwarded, grpc, http, message, counted }: Outcome): string {
  if (forwarded) return "The call would be forwarded.";
  if (counted === "" && grpc === 0) return `The gateway answers the call itself, with HTTP ${http}: ${message}`;
  const told = counted === "" ? message : `${message} (counted as ${counted})`;
  return `The call would not be forwarded: grpc-status ${grpc}, HTTP ${http}: ${told}`;
}
