/**
 * Keys, organisations and certificates as records of the store: names, encoding, lifetimes, news.
 * Must not know: who may change them (the control port), what a worker remembers.
 * Governed by: Tyk's names `apikey-…`, `orgkey.…`, `cert-raw-…`, `cert-<org>-index`; `storage.encoding`.
 * Runs: per request of the control port, and for export and import.
 *
 * Every write is followed by the news of it; a write whose news cannot be sent is still a write, and is seen by re-reading.
 */

import { type Decoded, decodeSession, type Encoding, encodeSession } from "../keys/codec.js";
import { type LifetimeRules, sessionTtl } from "../keys/lifetime.js";
import { ORGANISATION } from "../keys/organisation.js";
import { generateToken, hashKey, type KeyRules, nameCandidates, userCandidates } from "../keys/token.js";
import type { Session } from "../model/session.js";
import { KEYS_CHANGED, type Store } from "./store.js";

const KEY = "apikey-";
const CERTIFICATE = "cert-raw-";
const NAMES_PER_MESSAGE = 500;

export interface SessionsOptions {
  readonly store: Store;
  readonly keys: KeyRules;
  readonly encoding: Encoding;
  readonly lifetime: LifetimeRules;
  readonly wall?: (() => number) | undefined;
}

export interface Found {
  /** Without the prefix: the hash, or the token where keys are not hashed. */
  readonly name: string;
  readonly session: Session;
}

export interface SaveOptions {
  readonly when?: "absent" | "present" | undefined;
  /** What the key's API says about lifetimes. */
  readonly lifetime?: LifetimeRules | undefined;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #store: Store;
  readonly #wall: () => number;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#wall = options.wall ?? Date.now;
  }

  /** A token for this id (random when empty), by the configured function. */
  tokenFor(org: string, id: string): string {
    return generateToken(org, id, this.#options.keys.algorithm);
  }

  nameOf(token: string): string {
    return hashKey(token, this.#options.keys);
  }

  /** By a token in any form, or a custom key's id. */
  find(org: string, token: string): Promise<Found | undefined> {
    return this.#first(nameCandidates(org, token, this.#options.keys));
  }

  findUser(org: string, user: string): Promise<Found | undefined> {
    return this.#first(userCandidates(org, user, this.#options.keys));
  }

  findByName(name: string): Promise<Found | undefined> {
    return this.#first([name]);
  }

  /** False when `when` did not hold. */
  async save(name: string, session: Session, options: SaveOptions = {}): Promise<boolean> {
    const ttl = sessionTtl(session, { ...this.#options.lifetime, ...options.lifetime }, this.#wall());
    const bytes = encodeSession(session, this.#options.encoding);
    const written = await this.#store.put(KEY + name, bytes, { ttl, when: options.when });
    if (written) await this.announce([name]);
    return written;
  }

  async remove(name: string): Promise<boolean> {
    const found = await this.#store.delete(KEY + name);
    // Also when nothing was found: somebody may remember what another has deleted.
    await this.announce([name]);
    return found;
  }

  /** Pages of names without prefix. */
  async *names(): AsyncIterable<string[]> {
    for await (const page of this.#store.list(KEY)) yield page.map((name) => name.slice(KEY.length));
  }

  /** Pages of stored sessions, broken ones left out. For listing by organisation or API, and for export. */
  async *all(): AsyncIterable<Found[]> {
    for await (const names of this.names()) {
      const values = await this.#store.getMany(names.map((name) => KEY + name));
      yield names.flatMap((name, n) => {
        const decoded = decode(values[n]);
        return decoded !== undefined && "session" in decoded ? [{ name, session: decoded.session }] : [];
      });
    }
  }

  /** A million keys may have changed at once (import): one message holds some hundred names. */
  async announce(names: readonly string[]): Promise<void> {
    for (let at = 0; at < names.length; at += NAMES_PER_MESSAGE) {
      await this.#store.publish({ command: KEYS_CHANGED, payload: names.slice(at, at + NAMES_PER_MESSAGE).join(",") });
    }
  }

  async organisation(org: string): Promise<Session | undefined> {
    const decoded = decode(await this.#store.get(ORGANISATION + org));
    return decoded !== undefined && "session" in decoded ? decoded.session : undefined;
  }

  async saveOrganisation(org: string, session: Session): Promise<boolean> {
    const written = await this.#store.put(ORGANISATION + org, encodeSession(session, this.#options.encoding));
    if (written) await this.announce([ORGANISATION + org]);
    return written;
  }

  async removeOrganisation(org: string): Promise<boolean> {
    const found = await this.#store.delete(ORGANISATION + org);
    await this.announce([ORGANISATION + org]);
    return found;
  }

  async organisations(): Promise<string[]> {
    const found: string[] = [];
    for await (const page of this.#store.list(ORGANISATION))
      found.push(...page.map((name) => name.slice(ORGANISATION.length)));
    return found;
  }

  /** PEM text under its id (`<org><sha256 of the leaf>`), listed in the organisation's index as Tyk does. */
  async saveCertificate(org: string, id: string, pem: string): Promise<boolean> {
    const written = await this.#store.put(CERTIFICATE + id, Buffer.from(pem, "utf8"), { when: "absent" });
    if (written) await this.#store.listAdd(`cert-${org}-index`, `raw-${id}`);
    return written;
  }

  async certificate(id: string): Promise<string | undefined> {
    const bytes = await this.#store.get(CERTIFICATE + id);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
  }

  async removeCertificate(org: string, id: string): Promise<boolean> {
    const found = await this.#store.delete(CERTIFICATE + id);
    await this.#store.listRemove(`cert-${org}-index`, `raw-${id}`);
    return found;
  }

  async certificates(org: string): Promise<string[]> {
    const entries = await this.#store.listValues(`cert-${org}-index`);
    return entries.filter((entry) => entry.startsWith("raw-")).map((entry) => entry.slice("raw-".length));
  }

  async #first(names: readonly string[]): Promise<Found | undefined> {
    const values = await this.#store.getMany(names.map((name) => KEY + name));
    const at = values.findIndex((value) => value !== undefined);
    const name = names[at];
    const decoded = decode(values[at]);
    return name !== undefined && decoded !== undefined && "session" in decoded
      ? { name, session: decoded.session }
      : undefined;
  }
}

function decode(bytes: Uint8Array | undefined): Decoded | undefined {
  return bytes === undefined ? undefined : decodeSession(bytes);
}
