/**
 * What does a job cost the event loop here, and what when a thread does it? The loop's own time per job decides where a
 * job goes (src/worker/offload/thresholds.ts), so that is what is measured, from the loop's utilization.
 * Run: node <build>/bench/micro/offload.js
 */

import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { hashSync } from "@node-rs/bcrypt";
import { Piscina } from "piscina";
import { type Job, type Kind, runJob } from "../../src/worker/offload/jobs.js";
import { make } from "../../test/tls/certificates.js";

const AT_ONCE = 8;
const BUDGET_MS = 400;
const KIB = 1_024;

const pool = new Piscina<Job, unknown>({
  filename: fileURLToPath(new URL("../../src/worker/offload/thread.js", import.meta.url)),
  minThreads: 1,
  maxThreads: 1,
});

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

/** Microseconds of the loop for one job that runs on it. */
function inline(job: Job): number {
  const times: number[] = [];
  for (const end = performance.now() + BUDGET_MS; performance.now() < end; ) {
    const begun = performance.now();
    runJob(job.kind as Kind, job.with as never);
    times.push((performance.now() - begun) * 1_000);
  }
  return median(times);
}

/** Microseconds of the loop for one job that a thread runs, with several under way as under load. */
async function threaded(job: Job): Promise<number> {
  const rounds: number[] = [];
  for (const end = performance.now() + BUDGET_MS * 2; performance.now() < end; ) {
    const before = performance.eventLoopUtilization();
    let jobs = 0;
    for (const stop = performance.now() + 50; performance.now() < stop; ) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => pool.run(job)));
      jobs += AT_ONCE;
    }
    rounds.push((performance.eventLoopUtilization(before).active * 1_000) / jobs);
  }
  return median(rounds);
}

const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const data = randomBytes(400);
const ca = await make({ name: "ca", ca: true });
const leaf = await make({ name: "leaf", issuer: ca });
const der = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");

const jobs: [string, Job][] = [
  ["nothing (the hop alone)", { kind: "encodeBase64", with: { bytes: Buffer.alloc(0) } }],
  ["bcrypt cost 10", { kind: "verifyBcrypt", with: { password: "x", hash: hashSync("secret", { cost: 10 }) } }],
  [
    "RS256 signature",
    {
      kind: "verifySignature",
      with: {
        algorithm: "RS256",
        key: rsa.publicKey.export({ type: "spki", format: "der" }),
        data,
        signature: sign("sha256", data, rsa.privateKey),
      },
    },
  ],
  [
    "ES256 signature",
    {
      kind: "verifySignature",
      with: {
        algorithm: "ES256",
        key: ec.publicKey.export({ type: "spki", format: "der" }),
        data,
        signature: sign("sha256", data, { key: ec.privateKey, dsaEncoding: "ieee-p1363" }),
      },
    },
  ],
  ["certificate with its key", { kind: "readCertificate", with: { text: leaf.pem, secret: "" } }],
  [
    "chain of one signature",
    { kind: "checkChain", with: { leaf: der(leaf.cert), trusted: [der(ca.cert)], links: [], now: Date.now() } },
  ],
  ["pin of a certificate", { kind: "pinOf", with: { certificate: der(leaf.cert) } }],
];
for (const size of [4, 16, 64, 256, 1_024, 4_096]) {
  const bytes = randomBytes(size * KIB);
  jobs.push([`base64 of ${size} KiB`, { kind: "encodeBase64", with: { bytes } }]);
  const text = Buffer.from(bytes.toString("base64"), "latin1");
  jobs.push([`${size} KiB out of base64`, { kind: "decodeBase64", with: { text } }]);
}

process.stdout.write("| job | µs of the loop, here | µs of the loop, on a thread |\n|---|---:|---:|\n");
for (const [says, job] of jobs)
  process.stdout.write(`| ${says} | ${inline(job).toFixed(1)} | ${(await threaded(job)).toFixed(1)} |\n`);
await pool.destroy();
