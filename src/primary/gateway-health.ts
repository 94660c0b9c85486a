// How a gateway is, put together from what its parts say: whether it is ready, its store, its certificates, its last reload.
// Must not know: who asks, how it is answered. Governed by: Tyk's `/hello` and `/ready` (spec 5.1). Runs: whenever a part changes.

import type { HealthState } from "../shared/messages.js";
import type { StoreHealth } from "../shared/store/store.js";
import { type Component, healthOf, type LeftOut, STARTING } from "./health.js";

export interface HealthSources {
  readonly version: string;
  readonly leftOut: () => readonly LeftOut[];
  /** Undefined while the store is not open. */
  readonly store: () => StoreHealth | undefined;
  /** Which home it is. */
  readonly storage: () => string;
  readonly certificates: () => Component | undefined;
  readonly changed: (state: HealthState) => void;
}

export class GatewayHealth {
  readonly #sources: HealthSources;
  #notReady = STARTING;
  #refusedReload: Component | undefined;
  #state: HealthState | undefined;

  constructor(sources: HealthSources) {
    this.#sources = sources;
  }

  get state(): HealthState {
    this.#state ??= this.#read();
    return this.#state;
  }

  get isReady(): boolean {
    return this.#notReady === "";
  }

  /** The last reload was refused, and what it would have changed is not in force. */
  get reloadRefused(): boolean {
    return this.#refusedReload !== undefined;
  }

  /** Why it is not ready; empty when it is. */
  set notReady(reason: string) {
    this.#notReady = reason;
    this.changed();
  }

  /** How the last reload went; empty when it is in force. */
  reloaded(reason: string): void {
    const failure = { name: "reload", componentType: "configuration", status: "fail", output: reason } as const;
    this.#refusedReload = reason === "" ? undefined : { ...failure, since: Date.now() };
    this.changed();
  }

  /** One of the sources says something else. */
  changed(): void {
    this.#state = this.#read();
    this.#sources.changed(this.#state);
  }

  #read(): HealthState {
    const { version, leftOut, certificates } = this.#sources;
    const all = [this.#store(), this.#refusedReload, certificates()];
    const components = all.filter((each) => each !== undefined);
    return healthOf({ version, leftOut: leftOut(), components, notReady: this.#notReady }, new Date());
  }

  #store(): Component | undefined {
    const health = this.#sources.store();
    if (health === undefined) return undefined;
    const status = health.ok ? "pass" : "fail";
    const name = this.#sources.storage();
    return { name, componentType: "datastore", status, output: health.output, since: health.since };
  }
}
