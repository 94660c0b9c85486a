// What /hello and /ready say, rendered once per change for both kinds of port.
// Responsible for the two bodies. Must not know: who asks, over which protocol.
// Governed by: the gateway's health contract (`status, version, description, details`). Runs: at a change of state.

import type { HealthState } from "../shared/messages.js";

/** One definition that is not served, and why. */
export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** What calls depend on beside the definitions. */
export interface Component {
  readonly name: string;
  readonly componentType: "datastore" | "configuration";
  readonly status: "pass" | "warn" | "fail";
  /** Why it does not pass; never holds a credential. */
  readonly output?: string | undefined;
  /** Of the last change of its status, milliseconds. */
  readonly since: number;
}

export interface Condition {
  readonly version: string;
  readonly leftOut: readonly LeftOut[];
  readonly components?: readonly Component[] | undefined;
  /** Empty when calls are served; otherwise why not. */
  readonly notReady: string;
}

export const STARTING = "Gateway is starting";
export const SHUTTING_DOWN = "Gateway is shutting down";

export function healthOf(condition: Condition, now: Date): HealthState {
  const { leftOut, components = [] } = condition;
  const good = leftOut.length === 0 && components.every((component) => component.status === "pass");
  const body = JSON.stringify({
    status: good ? "pass" : "warn",
    version: condition.version,
    // Probes written for Tyk may look for this very text.
    description: "Tyk GW",
    details: { ...componentDetails(components), ...details(leftOut, now) },
  });
  const refusal = JSON.stringify({ status: "error", message: condition.notReady });
  const ready = condition.notReady === "" ? { status: 200, body } : { status: 503, body: refusal };
  return { hello: { status: 200, body }, ready };
}

function componentDetails(components: readonly Component[]): Record<string, object> {
  const entries = components.map(({ name, status, componentType, output, since }) => {
    const time = new Date(since).toISOString();
    return [name, output === undefined ? { status, componentType, time } : { status, componentType, output, time }];
  });
  return Object.fromEntries(entries) as Record<string, object>;
}

function details(leftOut: readonly LeftOut[], now: Date): Record<string, object> {
  const entries: Record<string, object> = {};
  for (const { name, reason } of leftOut) {
    const known = entries[`api:${name}`] as { output: string } | undefined;
    entries[`api:${name}`] = {
      status: "fail",
      componentType: "api",
      output: known === undefined ? reason : `${known.output}; ${reason}`,
      time: now.toISOString(),
    };
  }
  return entries;
}
