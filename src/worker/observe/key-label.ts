// How a key is called where people read: its alias, or the beginning of its hash; never what a caller shows as a credential.
// Runs: once per line of the access log.

import { createHash } from "node:crypto";
import type { SessionRef } from "../admit/session-ref.js";
import { DIGEST } from "../admit/unknown-keys.js";

const SHOWN = 12;
const LONGEST_ALIAS = 100;

export class KeyLabels {
  private readonly known = new WeakMap<SessionRef, string>();
  private readonly hashed: boolean;

  /** @param hashed names of keys in the store are hashes, not the credentials themselves */
  constructor(hashed: boolean) {
    this.hashed = hashed;
  }

  of(ref: SessionRef | null): string {
    if (ref === null) return "";
    const alias = ref.session?.alias;
    if (alias !== undefined && alias !== "") return alias.slice(0, LONGEST_ALIAS);
    let label = this.known.get(ref);
    if (label === undefined) {
      label = this.labelOf(ref.name, ref.session !== undefined);
      this.known.set(ref, label);
    }
    return label;
  }

  private labelOf(name: string, known: boolean): string {
    // Of a long name that is nobody's only this much is kept.
    if (!known && name.startsWith(DIGEST)) return name.slice(DIGEST.length, DIGEST.length + SHOWN);
    return (this.hashed ? name : createHash("sha256").update(name).digest("hex")).slice(0, SHOWN);
  }
}
