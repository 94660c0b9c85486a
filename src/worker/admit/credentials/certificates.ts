/**
 * Client certificates as credentials: what the gate needs of the one shown, how keys name one, and which are in the store.
 * Must not know: handshakes, allow lists (those are judged before the gate), what a key grants.
 * Governed by: Tyk's ids (organisation, then SHA-256 of the leaf's DER in hex), its `cert-raw-…`, `use_certificate`,
 * `certificate`, `mtls_static_certificate_bindings`.
 * Runs: once per decision of a connection that shows a certificate, or of a key that is bound to one.
 */

import { LRUCache } from "lru-cache";
import { type KeyRules, userCandidates } from "../../../shared/keys/token.js";
import type { Session } from "../../../shared/model/session.js";
import { CERTIFICATES_CHANGED, EVERYTHING_CHANGED, type Store, type StoreChange } from "../../../shared/store/store.js";
import { SessionRef } from "../session-ref.js";
import { CERTIFICATE_EARLY, CERTIFICATE_EXPIRED, CERTIFICATE_MISMATCH, CERTIFICATE_REQUIRED } from "../verdicts.js";

/** The leaf whose key the caller proved to hold; what else it sent counts for nothing here. */
export interface ShownCertificate {
  /** SHA-256 of its DER in hex. */
  readonly fingerprint: string;
  /** Milliseconds of the wall clock. */
  readonly notBefore: number;
  readonly notAfter: number;
}

type Shown = ShownCertificate | null | undefined;

/** 0, or why nobody can be identified by what was shown. */
export function shownVerdict(shown: Shown, wall: number): number {
  if (shown === null || shown === undefined) return CERTIFICATE_REQUIRED;
  if (wall > shown.notAfter) return CERTIFICATE_EXPIRED;
  return wall < shown.notBefore ? CERTIFICATE_EARLY : 0;
}

/** Under which names the key of a certificate is stored. Tyk drops the organisation that its ids begin with. */
export function certificateCandidates(orgId: string, fingerprint: string, rules: KeyRules): string[] {
  const names = userCandidates(orgId, fingerprint, rules);
  return orgId === "" ? names : [...new Set([...names, ...userCandidates(orgId, orgId + fingerprint, rules)])];
}

export function certificateId(orgId: string, fingerprint: string): string {
  return orgId + fingerprint;
}

/**
 * 0, or why a key may not be used on this connection. A key that names certificates is usable with one of them and not
 * otherwise, whatever the API asks for: who steals it from a log has nothing.
 * `tokenAlone` is `allow_unsafe_dynamic_mtls_token`: a key's own `certificate` is not missed where none is shown.
 */
export function bindingVerdict(
  session: Session,
  shown: Shown,
  orgId: string,
  wall: number,
  tokenAlone: boolean,
): number {
  const bindings = session.mtls_static_certificate_bindings ?? [];
  const own = session.certificate ?? "";
  const ownCounts = own !== "" && !(tokenAlone && (shown === null || shown === undefined));
  if (bindings.length === 0 && !ownCounts) return 0;
  const verdict = shownVerdict(shown, wall);
  if (verdict !== 0) return verdict;
  const { fingerprint } = shown as ShownCertificate;
  if (ownCounts && !isNamed(own, orgId, fingerprint)) return CERTIFICATE_MISMATCH;
  if (bindings.length > 0 && !bindings.some((one) => isNamed(one, orgId, fingerprint))) return CERTIFICATE_MISMATCH;
  return 0;
}

function isNamed(reference: string, orgId: string, fingerprint: string): boolean {
  return reference === fingerprint || reference === certificateId(orgId, fingerprint);
}

const STORED = "cert-raw-";
const MAX_KNOWN = 10_000;
const MAX_LOOKUPS = 1_024;
/** News may be lost: after so long it is read again, while what is known goes on. */
const REFRESH_MS = 8_000;

/** Thrown when so many certificates are being looked up that one more would only wait. */
export class TooManyLookups extends Error {
  override readonly name = "Busy";
}

/**
 * Whether certificates are in the store, which is what keeps them good for anything: removing one ends its use at once.
 * An entry is a `SessionRef` so that decisions can hang on it; its session is set when the certificate is there.
 */
export class StoredIds {
  readonly #store: Pick<Store, "get">;
  readonly #now: () => number;
  readonly #staleMs: number;
  readonly #known: LRUCache<string, SessionRef>;
  readonly #lookups = new Map<string, Promise<SessionRef>>();
  readonly #unsubscribe: () => void;
  #news = 0;

  constructor(store: Pick<Store, "get" | "subscribe">, now: () => number, staleMs = 300_000) {
    this.#store = store;
    this.#now = now;
    this.#staleMs = staleMs;
    this.#known = new LRUCache({ max: MAX_KNOWN, dispose: (ref: SessionRef) => ref.leave() });
    this.#unsubscribe = store.subscribe((change) => this.heard(change));
  }

  close(): void {
    this.#unsubscribe();
    this.#known.clear();
  }

  /** Certificates change rarely: whichever they are about, all are read again when they are asked for. */
  heard(change: StoreChange): void {
    if (change.command !== CERTIFICATES_CHANGED && change.command !== EVERYTHING_CHANGED) return;
    this.#news++;
    this.#known.clear();
  }

  /** Undefined when the store must be asked. */
  peek(id: string): SessionRef | undefined {
    const ref = this.#known.get(id);
    if (ref === undefined) return undefined;
    const age = this.#now() - ref.checkedAt;
    if (age < REFRESH_MS) return ref;
    // One that was not there is asked for anew; one that was there goes on while it is read again.
    if (ref.session === undefined || age > this.#staleMs) {
      this.#known.delete(id);
      return undefined;
    }
    this.#look(id).catch(() => undefined);
    return ref;
  }

  /** Rejects with what the store says, or `TooManyLookups`. */
  load(id: string): Promise<SessionRef> {
    const known = this.peek(id);
    return known !== undefined ? Promise.resolve(known) : this.#look(id);
  }

  #look(id: string): Promise<SessionRef> {
    const running = this.#lookups.get(id);
    if (running !== undefined) return running;
    if (this.#lookups.size >= MAX_LOOKUPS) return Promise.reject(new TooManyLookups());
    const lookup = this.#read(id).finally(() => this.#lookups.delete(id));
    this.#lookups.set(id, lookup);
    return lookup;
  }

  async #read(id: string): Promise<SessionRef> {
    for (;;) {
      const news = this.#news;
      const there = (await this.#store.get(STORED + id)) !== undefined;
      // What came meanwhile may be about this one.
      if (news === this.#news) return this.#keep(id, there);
    }
  }

  #keep(id: string, there: boolean): SessionRef {
    const held = this.#known.peek(id);
    if (held !== undefined && (held.session !== undefined) === there) {
      held.checkedAt = this.#now();
      return held;
    }
    const ref = new SessionRef(id, id, "");
    ref.session = there ? {} : undefined;
    ref.checkedAt = this.#now();
    this.#known.set(id, ref);
    return ref;
  }
}
