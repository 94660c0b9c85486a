// From which size on a job goes to a thread; below it the hop costs the loop more than the work.
// Figures: bench/micro/offload.ts, in microseconds of the event loop, kept in bench/LOG.md. Must not know: threads.

import type { Job } from "./jobs.js";

const KIB = 1_024;

/** A hop costs the loop 20 to 30 µs, of which nothing is left for what is done in less. */
export const INLINE = {
  /** An RSA check takes some 40 µs and is no gain elsewhere; curves take 100 and more. */
  signatures: new Set(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
  /** Encoding runs at a gigabyte per second, and what crosses to a thread is copied once more. */
  base64Bytes: 64 * KIB,
  /** A single signature with its certificates parsed: less than two hops. */
  chainCertificates: 2,
} as const;

export function isSmall(job: Job): boolean {
  switch (job.kind) {
    case "verifyBcrypt":
    case "hashBcrypt":
    case "readCertificate":
      return false;
    case "verifySignature":
      return INLINE.signatures.has(job.with.algorithm);
    case "checkChain":
      return 1 + job.with.trusted.length + job.with.links.length <= INLINE.chainCertificates;
    case "pinOf":
      return true;
    case "encodeBase64":
      return job.with.bytes.length < INLINE.base64Bytes;
    case "decodeBase64":
      return job.with.text.length < INLINE.base64Bytes;
  }
}
