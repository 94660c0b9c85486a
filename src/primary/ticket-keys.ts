// What session tickets are sealed under: one key that issues, the one before it that is still accepted, and the time
// when the next takes over. All workers of a host have the same; replicas do when they share a shelf.
// Responsible for making and rotating keys; they are never logged. Must not know: workers, TLS.
// Governed by RFC 5077 section 5.5 (short-lived keys) as node:tls takes them: name, HMAC key and AES key in 48 octets.
// Runs: at start and once per lifetime.

import { randomBytes } from "node:crypto";
import type { TicketKeys } from "../shared/messages.js";

export const TICKET_KEY_BYTES = 48;
/** After a shelf that could not be asked. */
const RETRY_MS = 5_000;

/** Where replicas find one another's keys. */
export interface TicketShelf {
  /** The key of an epoch: `fresh` if nobody has put one there before. */
  agree(epoch: number, fresh: Uint8Array): Promise<Uint8Array>;
}

/** Keys of this process alone. */
export class LocalShelf implements TicketShelf {
  readonly #keys = new Map<number, Uint8Array>();

  async agree(epoch: number, fresh: Uint8Array): Promise<Uint8Array> {
    const key = this.#keys.get(epoch) ?? fresh;
    this.#keys.set(epoch, key);
    for (const old of this.#keys.keys()) if (old < epoch - 1) this.#keys.delete(old);
    return key;
  }
}

export class TicketRotation {
  readonly #shelf: TicketShelf;
  readonly #lifetimeMs: number;
  readonly #changed: (keys: TicketKeys) => void;
  readonly #failed: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Epochs are counted from 1970, so that replicas agree without speaking to each other. */
  constructor(
    shelf: TicketShelf,
    lifetimeMs: number,
    changed: (keys: TicketKeys) => void,
    failed: (error: unknown) => void = () => {},
  ) {
    this.#shelf = shelf;
    this.#lifetimeMs = lifetimeMs;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** As `start`, with keys of this process alone until the shelf can be asked. */
  async begin(now = Date.now()): Promise<void> {
    try {
      await this.start(now);
    } catch (error) {
      const alone = { generation: 0, current: randomBytes(TICKET_KEY_BYTES), previous: null };
      if (!this.#stopped) this.#changed(alone);
      this.#retry(error);
    }
  }

  async start(now = Date.now()): Promise<void> {
    const epoch = Math.floor(now / this.#lifetimeMs);
    const keys = await this.keysOf(epoch);
    if (this.#stopped) return;
    this.#changed(keys);
    this.#wait((epoch + 1) * this.#lifetimeMs - now);
  }

  async keysOf(epoch: number): Promise<TicketKeys> {
    const current = await this.#shelf.agree(epoch, randomBytes(TICKET_KEY_BYTES));
    const previous = await this.#shelf.agree(epoch - 1, randomBytes(TICKET_KEY_BYTES));
    return { generation: epoch, current, previous };
  }

  #wait(ms: number): void {
    // Timers count in 31 bits of milliseconds; a lifetime is at most a week.
    this.#timer = setTimeout(() => {
      this.start().catch((error: unknown) => this.#retry(error));
    }, ms).unref();
  }

  /** Workers keep the keys they have; the next try is soon. */
  #retry(error: unknown): void {
    if (this.#stopped) return;
    this.#failed(error);
    this.#wait(RETRY_MS);
  }

  /** For good. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
