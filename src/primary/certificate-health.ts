// What /hello says of certificates: those that are named and not to be had, and ports with TLS and no certificate.
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

  /** True when it says something else than before. */
  judge(referring: Referring, lacking: readonly string[], now: number): boolean {
    const output = [...lacking.flatMap((id) => sayLacking(id, referring)), ...barePorts(referring).map(sayBare)];
    const more = output.length > MOST_NAMED ? [`and ${output.length - MOST_NAMED} more`] : [];
    const said = [...output.slice(0, MOST_NAMED), ...more].join("; ");
    if (said === (this.#component?.output ?? "")) return false;
    const since = this.#component?.since ?? now;
    this.#component =
      said === ""
        ? undefined
        : { name: "certificates", componentType: "configuration", status: "fail", output: said, since };
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
