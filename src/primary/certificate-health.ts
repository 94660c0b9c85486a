// What /hello says of certificates: those that are named and not to be had, ports with TLS and no certificate, and those
// in use that have expired or are not valid yet.
// Responsible for the component and since when it stands. Must not know: how certificates are read, who asks.
// Runs: at a configuration, and whenever the store says that certificates changed.

import { barePorts } from "../shared/certificates/bare-ports.js";
import { type Referring, referrersOf } from "../shared/certificates/stored.js";
import type { Component } from "./health.js";

/** Beyond this an answer is no help. */
const MOST_NAMED = 10;

export class CertificateHealth {
  #component: Component | undefined;

  /** Undefined while nothing is wrong. */
  get component(): Component | undefined {
    return this.#component;
  }

  /**
   * True when it says something else than before.
   * @param untimely sentences about certificates in use: they still encrypt, and callers who do not look still come
   */
  judge(referring: Referring, lacking: readonly string[], now: number, untimely: readonly string[] = []): boolean {
    const failing = [...lacking.flatMap((id) => sayLacking(id, referring)), ...barePorts(referring).map(sayBare)];
    const output = [...failing, ...untimely];
    const more = output.length > MOST_NAMED ? [`and ${output.length - MOST_NAMED} more`] : [];
    const said = [...output.slice(0, MOST_NAMED), ...more].join("; ");
    if (said === (this.#component?.output ?? "")) return false;
    const status = failing.length > 0 ? "fail" : "warn";
    const since = this.#component?.status === status ? this.#component.since : now;
    const component = { name: "certificates", componentType: "configuration", status, output: said, since } as const;
    this.#component = said === "" ? undefined : component;
    return true;
  }
}

/** Nothing for one that only a set which was refused had named. */
function sayLacking(id: string, referring: Referring): string[] {
  const [where, ...others] = referrersOf(id, referring);
  if (where === undefined) return [];
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return [`${id} cannot be had from the store (named by ${where}${more})`];
}

function sayBare(port: number): string {
  return `port ${port} speaks TLS and nothing gives it a certificate`;
}
