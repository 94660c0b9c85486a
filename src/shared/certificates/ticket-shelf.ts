// Where the replicas of a gateway find the same ticket keys: one value for each epoch in the store, sealed under the
// operator's secret, gone when no ticket can be under it any more.
// Responsible for agreeing on a key and for keeping it unreadable. Must not know: rotation, TLS. The first replica that
// comes to an epoch decides; the others take what they find. Runs: twice per lifetime of a key.

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { Store } from "../store/store.js";

const NONCE = 12;
const TAG = 16;

export class StoreTicketShelf {
  readonly #store: Pick<Store, "get" | "put">;
  readonly #key: Buffer;
  readonly #lifetimeMs: number;

  constructor(store: Pick<Store, "get" | "put">, secret: string, lifetimeMs: number) {
    this.#store = store;
    this.#key = Buffer.from(hkdfSync("sha256", secret, "", "sluice session tickets", 32));
    this.#lifetimeMs = lifetimeMs;
  }

  /** Rejects with the store's trouble, or when what lies there is sealed under another secret. */
  async agree(epoch: number, fresh: Uint8Array): Promise<Uint8Array> {
    // Replicas with another lifetime count other epochs.
    const name = `sluice-tickets-${this.#lifetimeMs}-${epoch}`;
    const found = await this.#store.get(name);
    if (found !== undefined) return this.#open(name, found);
    // Twice its time of issuing, and once more for clocks that differ.
    const put = await this.#store.put(name, this.#seal(name, fresh), { when: "absent", ttl: 3 * this.#lifetimeMs });
    const agreed = put ? undefined : await this.#store.get(name);
    return agreed === undefined ? fresh : this.#open(name, agreed);
  }

  #seal(name: string, key: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    cipher.setAAD(Buffer.from(name));
    const body = Buffer.concat([cipher.update(key), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), body]);
  }

  #open(name: string, sealed: Uint8Array): Uint8Array {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    if (bytes.length <= NONCE + TAG) throw new Error("a ticket key in the store is not one");
    try {
      const opener = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, NONCE));
      opener.setAAD(Buffer.from(name));
      opener.setAuthTag(bytes.subarray(NONCE, NONCE + TAG));
      return Buffer.concat([opener.update(bytes.subarray(NONCE + TAG)), opener.final()]);
    } catch {
      throw new Error("a ticket key in the store is sealed under another secret: replicas must have the same");
    }
  }
}
