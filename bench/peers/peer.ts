/**
 * What a proxy is to the bench: a name, how to find it, and a generous configuration for one core. Must not know scenarios or load.
 * Each proxy has one file beside this one. Runs once per proxy and upstream.
 */
import type { StorageSettings } from "../../src/shared/store/homes.js";
import type { Command } from "../children.js";
import type { Plain } from "../scenarios.js";

export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Place {
  /** Where callers connect. */
  readonly port: number;
  readonly upstreamPort: number;
  /** A second port for whatever the proxy wants to open beside the first. */
  readonly controlPort: number;
  /** An empty folder of its own for configuration files. */
  readonly folder: string;
  readonly workers: number;
  readonly definitions: number;
  readonly frontTls: Certificate | null;
  readonly backTls: boolean;
  /** API keys that the store already holds and every call needs one of; 0 = keyless. */
  readonly keys: number;
  /** The store, as the gateway's settings name it; null = none is needed. */
  readonly storage: StorageSettings | null;
}

export interface Peer {
  readonly name: string;
  readonly title: string;
  /** `floor` forwards bytes without reading HTTP: shown as what is physically possible, not as an equal. */
  readonly role: "sluice" | "proxy" | "floor";
  /** What must be on the PATH; null needs nothing beyond Node. */
  readonly program: string | null;
  readonly version: readonly string[];
  /** Scenarios it cannot take part in, with the reason shown. */
  readonly cannot: (place: Place) => string | null;
  readonly command: (place: Place) => Command;
  /** What is otherwise than the scenario says. */
  readonly plain?: Plain;
}
