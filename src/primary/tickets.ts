// Where this gateway's ticket keys come from: the store, when replicas or a later start are to accept its tickets, or
// this process alone. Responsible for that choice, for going on while the store is away, for starting anew when a reload
// changes what the keys hang on. Must not know: workers, TLS; keys are never logged.
// Runs: at start, at a reload, and as ticket-keys.ts rotates.

import type { Logger } from "pino";
import { keySecret } from "../shared/certificates/collection.js";
import { storedReferences } from "../shared/certificates/stored.js";
import { StoreTicketShelf } from "../shared/certificates/ticket-shelf.js";
import type { TicketKeys, WorkerConfig } from "../shared/messages.js";
import { needsKeys } from "../shared/model/gate-rules.js";
import type { Store } from "../shared/store/store.js";
import { LocalShelf, TicketRotation, type TicketShelf } from "./ticket-keys.js";

export type Ticketed = Pick<WorkerConfig, "settings" | "definitions" | "ports">;

export interface TicketOptions {
  readonly open: () => Promise<Pick<Store, "get" | "put">>;
  readonly changed: (keys: TicketKeys) => void;
  readonly log: Logger;
}

export class Tickets {
  readonly #options: TicketOptions;
  /** One for the process: reloads that change nothing about it keep its keys. */
  readonly #local = new LocalShelf();
  #rotation: TicketRotation | undefined;
  #from = "";
  #isAway = false;

  constructor(options: TicketOptions) {
    this.#options = options;
  }

  /** Resolves when there are keys; the store's trouble does not keep a gateway from starting. */
  async configure(served: Ticketed): Promise<void> {
    const { settings } = served;
    const lifetimeMs = settings.http_server_options.ticket_lifetime * 1_000;
    const shared = this.#isShared(served);
    const from = JSON.stringify([shared, lifetimeMs, shared ? keySecret(settings) : ""]);
    if (from === this.#from) return;
    this.#from = from;
    this.#rotation?.stop();
    const shelf = shared ? this.#storeShelf(keySecret(settings), lifetimeMs) : this.#local;
    this.#rotation = new TicketRotation(
      shelf,
      lifetimeMs,
      (keys) => this.#agreed(keys),
      (error) => this.#failed(error),
    );
    await this.#rotation.begin();
  }

  stop(): void {
    this.#rotation?.stop();
  }

  /** An embedded store is not opened for tickets alone: they would be shared with nobody. */
  #isShared({ settings, definitions, ports }: Ticketed): boolean {
    if (!ports.some((port) => port.protocol === "https")) return false;
    const redis = settings.storage.type === "redis";
    if (keySecret(settings) === "") {
      if (redis) this.#options.log.warn("session tickets are not shared with other replicas: no secret to seal them");
      return false;
    }
    return redis || definitions.some(needsKeys) || storedReferences({ settings, definitions }).length > 0;
  }

  #storeShelf(secret: string, lifetimeMs: number): TicketShelf {
    const { open } = this.#options;
    return {
      agree: async (epoch, fresh) => new StoreTicketShelf(await open(), secret, lifetimeMs).agree(epoch, fresh),
    };
  }

  #agreed(keys: TicketKeys): void {
    if (this.#isAway) this.#options.log.info("session ticket keys can be shared again");
    this.#isAway = false;
    this.#options.changed(keys);
  }

  #failed(error: unknown): void {
    if (!this.#isAway)
      this.#options.log.error(
        { err: error },
        "session ticket keys cannot be shared: tickets of other replicas fall back to a full handshake",
      );
    this.#isAway = true;
  }
}
