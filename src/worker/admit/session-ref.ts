/**
 * One key as a worker knows it, or that it is known not to exist.
 * Must not know: the store, calls. Runs: `epoch` is compared once per call; everything else once per change.
 *
 * Decisions hold a reference and the epoch they saw. Whoever changes what a reference means raises its epoch, and every
 * decision that hangs on it misses. A reference that left the cache is raised too, so that it can never be served unseen.
 */

import type { Session } from "../../shared/model/session.js";
import type { AllowedUrls } from "./rights/allowed-urls.js";

export class SessionRef {
  epoch = 1;
  /** With its policies applied; undefined when no such key exists. Read it only while the epoch is the one you saw. */
  session: Session | undefined;
  /** The policies could not be applied: the key is refused. Never shown to a caller. */
  problem: string | undefined;
  /** The stored bytes, to see cheaply that nothing changed; undefined for a session that is not stored. */
  bytes: Uint8Array | undefined;
  /** As stored, to apply other policies. */
  stored: Session | undefined;
  /** Which policies `session` was made with. */
  policyEpoch = 0;
  /** Milliseconds of the worker's clock: last compared with the store, last asked for. */
  checkedAt = 0;
  touchedAt = 0;
  /** The store said that it may be something else by now. */
  suspect = false;
  /** It left the cache: nobody will raise it again, so no new decision may hang on it. */
  gone = false;
  /** Compiled `allowed_urls`, by API. */
  urls: Map<string, AllowedUrls> | undefined;

  constructor(
    /** Under which it is kept here. */
    readonly key: string,
    /** Under which it is stored, without `apikey-`; counters are named after it. */
    readonly name: string,
    readonly orgId: string,
  ) {}

  leave(): void {
    this.raise();
    this.gone = true;
  }

  raise(): void {
    this.epoch = (this.epoch + 1) & 0x3fffffff;
    this.urls = undefined;
  }
}
