// What a gateway says of a store that was away when it started: one line then, one when it is back.
// What comes later each worker says for itself (gatehouse.ts). Must not know: what is stored. Runs: at a change of the store's
// health.

import type { Logger } from "pino";
import type { Settings } from "../shared/config.js";
import { redisPlace } from "../shared/store/redis-addresses.js";
import type { StoreHealth } from "../shared/store/store.js";

export class StoreNews {
  readonly #log: Logger;
  #seen = false;
  #waiting = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  heard(health: StoreHealth, storage: Settings["storage"]): void {
    const first = !this.#seen;
    this.#seen = true;
    if (first && !health.ok) this.#tell(health.output ?? "", storage);
    if (!health.ok || !this.#waiting) return;
    this.#waiting = false;
    this.#log.info({ address: redisPlace(storage) }, "Redis is there: keys are known from now on");
  }

  #tell(reason: string, storage: Settings["storage"]): void {
    if (storage.type !== "redis") {
      // Nobody opens it again.
      this.#log.error(
        { reason },
        "the store cannot be opened: no key is known until it can and the gateway is restarted",
      );
      return;
    }
    this.#waiting = true;
    const address = redisPlace(storage);
    this.#log.warn({ address, reason }, "Redis cannot be reached: no key is known until it is back; it is tried again");
  }
}
