// Which jobs stay on the event loop because the hop to a thread costs it more than the work.
// Figures: bench/micro/offload.ts, in microseconds of the loop, kept in bench/LOG.md. Must not know: threads.

import type { Job } from "./jobs.js";

/**
 * A hop costs the loop some 50 µs; a password 50,000, a signature 180 to 260, a certificate with its key 800, a chain 480
 * and a key's pin 380 (parsing is most of both). Base64 is another matter: it runs at three gigabytes per second, and
 * carrying the octets to a thread and back costs at least twice that, whatever their number (1 MiB: 220 to 310 µs here,
 * 500 to 730 there; 4 MiB: 900 against 4,000).
 */
export function isSmall(job: Job): boolean {
  return job.kind === "encodeBase64" || job.kind === "decodeBase64";
}
