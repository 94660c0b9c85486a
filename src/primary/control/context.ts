// What the control API's resources need of the running gateway.
// Responsible for the shape only. Must not know: how any of it is done.

import type { Logger } from "pino";
import type { Certificates } from "../../shared/certificates/collection.js";
import type { Settings } from "../../shared/config.js";
import type { Explanation, Question } from "../../shared/explanation.js";
import type { HealthState } from "../../shared/messages.js";
import type { ApiDefinition } from "../../shared/model/api-definition.js";
import type { Policies } from "../../shared/model/policy.js";
import type { Inspection, InspectionQuery } from "../../shared/observe/inspection.js";
import type { Keyspace } from "../keyspace.js";
import type { ReloadOutcome } from "../reload.js";

/** A definition as it stands in its file. */
export interface ApiDocument {
  readonly file: string;
  readonly document: Readonly<Record<string, unknown>>;
}

export interface ControlContext {
  readonly health: () => HealthState;
  /** Settings, definitions and policies in force. */
  readonly settings: () => Settings;
  readonly definitions: () => readonly ApiDefinition[];
  readonly documents: () => ReadonlyMap<string, ApiDocument>;
  readonly policies: () => Policies;
  readonly keyspace: Keyspace;
  readonly reload: () => Promise<ReloadOutcome>;
  /** Replaces every worker without ending a call; resolves with why it did not. */
  readonly renew: () => Promise<string>;
  /** Those that workers have, of files and of the store. */
  readonly certificates: () => Certificates;
  /** Certificates of the store have changed; resolves with whether every worker has them. */
  readonly certificatesChanged: () => Promise<boolean>;
  /** What each worker shows of its connections; nothing but its pid when it does not answer. */
  readonly inspect: (query: InspectionQuery) => Promise<readonly ({ readonly pid: number } & Partial<Inspection>)[]>;
  /** Prometheus' text; undefined where metrics are off. */
  readonly metrics: () => Promise<string | undefined>;
  /** What would become of a call; undefined where no worker could say. */
  readonly explain: (question: Question) => Promise<Explanation | undefined>;
  readonly log: Logger;
}
