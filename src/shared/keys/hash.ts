/**
 * The hash functions under which keys are stored.
 * Must not know: where a hash is looked up.
 * Governed by: Tyk's names and digests: lower-case hex, zero-padded; "" is the legacy murmur32.
 * Runs: when a credential is first seen, never per call.
 */

import { createHash, hash as hashOnce } from "node:crypto";
import murmur from "murmurhash3js-revisited";

export const ALGORITHMS = ["murmur32", "murmur64", "murmur128", "sha256"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export function isAlgorithm(name: string): name is Algorithm {
  return (ALGORITHMS as readonly string[]).includes(name);
}

/** What Tyk makes of a function's name: nothing is murmur32, an unknown one murmur64. */
export function algorithmOf(name: string): Algorithm {
  if (name === "") return "murmur32";
  return isAlgorithm(name) ? name : "murmur64";
}

export function hashText(text: string, algorithm: Algorithm): string {
  if (algorithm === "sha256") {
    // `hash` (Node 20.12) makes no object per digest.
    return typeof hashOnce === "function" ? hashOnce("sha256", text, "hex") : sha256(text);
  }
  const bytes = Buffer.from(text, "utf8");
  switch (algorithm) {
    case "murmur32":
      return (murmur.x86.hash32(bytes) >>> 0).toString(16).padStart(8, "0");
    case "murmur64":
      return murmur.x64.hash128(bytes).slice(0, 16);
    case "murmur128":
      return murmur.x64.hash128(bytes);
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
