// The keys of tokens that a source publishes: fetched when a token needs them, and not again at once after a failure.
// Responsible for how often a source is asked. Must not know: tokens, definitions. Governed by: RFC 7517, Tyk's
// `jwt_source` and `jwt_jwks_uris`. Anybody can make up tokens: without the pause each of them would be a fetch while the
// source is away, which keeps it away. Runs: once per token that is not remembered; fetches are few.

import { createLocalJWKSet, createRemoteJWKSet, customFetch, type FetchImplementation } from "jose";

const TIMEOUT_MS = 5_000;
const AGE_MS = 240_000;
/** Counted from the end of the fetch that failed. */
export const PAUSE_MS = 5_000;

export type RemoteKeys = ReturnType<typeof createRemoteJWKSet>;

/**
 * @param ageS how long keys are good for; nothing for the default
 * @param now monotonic, milliseconds
 */
export function remoteKeys(url: string, ageS: number | undefined, now: () => number): RemoteKeys {
  return createRemoteJWKSet(new URL(url), {
    timeoutDuration: TIMEOUT_MS,
    cacheMaxAge: ageS !== undefined && ageS > 0 ? ageS * 1_000 : AGE_MS,
    [customFetch]: patient(now),
  });
}

function patient(now: () => number): FetchImplementation {
  let failure: unknown;
  let again = Number.NEGATIVE_INFINITY;
  return async (url, options) => {
    if (now() < again) throw failure;
    try {
      const response = await fetch(url, options);
      await check(response);
      return response;
    } catch (error) {
      failure = error;
      again = now() + PAUSE_MS;
      throw error;
    }
  };
}

/** An answer without keys is a failure like none: a source in trouble says "503" or shows a page. */
async function check(response: Response): Promise<void> {
  if (response.status !== 200) {
    void response.body?.cancel().catch(() => {});
    throw new Error(`the source answered ${response.status}`);
  }
  createLocalJWKSet((await response.clone().json()) as Parameters<typeof createLocalJWKSet>[0]);
}
