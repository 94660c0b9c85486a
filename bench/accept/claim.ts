/** What an acceptance line is: a name, what is claimed, and a way to find out. Must not know how any of them measures. */

import type { Peer } from "../peers/peer.js";

export interface Verdict {
  readonly name: string;
  readonly claim: string;
  readonly measured: string;
  readonly holds: boolean;
}

export interface AcceptPlan {
  /** The proxy that is judged: Sluice, or for comparison another. */
  readonly subject: Peer;
  readonly rounds: number;
  readonly progress: (text: string) => void;
}

/** One group shares what is costly to start; it may hold several lines. */
export interface ClaimGroup {
  readonly names: readonly string[];
  /** `wanted` is a part of `names`. */
  readonly run: (wanted: readonly string[], plan: AcceptPlan) => Promise<Verdict[]>;
}

export const failedVerdict = (name: string, claim: string, reason: string): Verdict => ({
  name,
  claim,
  measured: `failed: ${reason}`,
  holds: false,
});
