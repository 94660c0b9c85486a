// Rules for the numbers of a session's or a policy's limits: what could only have been meant otherwise.
// Responsible for naming the place. Must not know: who counts, how policies are merged. Governed by: Tyk's session, where
// 0 and -1 mean "no limit of this kind". Runs: per key that an operator writes, per policy at load.

import { jsonPath } from "./problem.js";
import type { Access, Limit } from "./session.js";

type Numbers = Pick<Limit, "rate" | "per" | "quota_max" | "quota_renewal_rate">;
type Path = readonly PropertyKey[];

export interface LimitFlaw {
  readonly path: string;
  readonly message: string;
}

export interface Limited extends Numbers {
  readonly access_rights?: Readonly<Record<string, Access>> | undefined;
}

/** The first that is nonsense; undefined when there is nothing. `at` is where it stands in its document. */
export function flawOfLimits(limited: Limited, at: Path = []): LimitFlaw | undefined {
  let flaw = flawOf(limited, at);
  for (const [api, { limit, endpoints }] of Object.entries(limited.access_rights ?? {})) {
    const here = [...at, "access_rights", api];
    flaw ??= flawOf(limit ?? {}, [...here, "limit"]);
    endpoints?.forEach((endpoint, n) => {
      endpoint.methods?.forEach((method, m) => {
        flaw ??= flawOf(method.limit ?? {}, [...here, "endpoints", n, "methods", m, "limit"]);
      });
    });
  }
  return flaw;
}

function flawOf(numbers: Numbers, at: Path): LimitFlaw | undefined {
  for (const name of ["rate", "per", "quota_max", "quota_renewal_rate"] as const) {
    const value = numbers[name] ?? 0;
    if (value < 0 && value !== -1)
      return { path: jsonPath([...at, name]), message: "must not be negative; 0 and -1 mean no limit" };
  }
  // Without a period nothing would be counted: the key would be faster than anybody meant.
  if ((numbers.rate ?? 0) > 0 && (numbers.per ?? 0) <= 0)
    return { path: jsonPath([...at, "per"]), message: "must be above 0, in seconds, where a rate is set" };
  return undefined;
}
