// The thread pool: right results, its bounds, and what becomes of jobs whose thread or caller is gone.
// Governed by: issue item 5.

import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { getEventListeners } from "node:events";
import { after, describe, test } from "node:test";
import { Offload, OffloadError, type OffloadFailure, threadsPerWorker } from "../../src/worker/offload/offload.js";
import { make } from "../tls/certificates.js";

const FAULTY = new URL("./faulty-thread.js", import.meta.url).href;

const failsWith = (failure: OffloadFailure) => (error: unknown) =>
  error instanceof OffloadError && error.failure === failure;

describe("jobs of the thread pool", () => {
  const offload = new Offload({ threads: 1 });
  after(() => offload.close());

  test("a password is checked against a hash of its own and of another library's form", async () => {
    const hash = await offload.hashBcrypt("secret", 4);
    assert.equal(await offload.verifyBcrypt("secret", hash), true);
    assert.equal(await offload.verifyBcrypt("wrong", hash), false);
    assert.equal(await offload.verifyBcrypt("secret", hash.replace(/^\$2./, "$2a")), true);
  });

  test("a malformed hash and one of absurd cost are false at once, not an error", async () => {
    assert.equal(await offload.verifyBcrypt("secret", "nonsense"), false);
    const hash = await offload.hashBcrypt("secret", 4);
    assert.equal(await offload.verifyBcrypt("secret", hash.replace("$04$", "$31$")), false);
  });

  for (const [algorithm, pair, options] of [
    ["RS256", generateKeyPairSync("rsa", { modulusLength: 2_048 }), {}],
    ["PS256", generateKeyPairSync("rsa", { modulusLength: 2_048 }), { padding: 6, saltLength: -1 }],
    ["ES256", generateKeyPairSync("ec", { namedCurve: "P-256" }), { dsaEncoding: "ieee-p1363" as const }],
    ["EdDSA", generateKeyPairSync("ed25519"), {}],
  ] as const) {
    test(`a signature with ${algorithm} is told from a wrong one`, async () => {
      const key = pair.publicKey.export({ type: "spki", format: "der" });
      const data = Buffer.from("header.payload");
      const digest = algorithm === "EdDSA" ? null : "sha256";
      const signature = sign(digest, data, { key: pair.privateKey, ...options });
      assert.equal(await offload.run("verifySignature", { algorithm, key, data, signature }), true);
      const other = Buffer.from("header.payloae");
      assert.equal(await offload.run("verifySignature", { algorithm, key, data: other, signature }), false);
    });
  }

  test("an algorithm that is none, and one of secrets, are never right", async () => {
    const data = Buffer.from("x");
    const signature = createHmac("sha256", "k").update(data).digest();
    for (const algorithm of ["none", "HS256", ""])
      assert.equal(await offload.run("verifySignature", { algorithm, key: Buffer.from("k"), data, signature }), false);
  });

  test("certificates are read, their chains and keys checked", async () => {
    const ca = await make({ name: "ca", ca: true });
    const leaf = await make({ name: "leaf", issuer: ca });
    const der = (pem: string) => new X509Certificate(pem).raw;
    const read = await offload.run("readCertificate", { text: leaf.pem, secret: "" });
    assert.ok(!("problem" in read) && read.fingerprint === leaf.fingerprint);
    const check = (trusted: string) =>
      offload.run("checkChain", { leaf: der(leaf.cert), trusted: [der(trusted)], links: [], now: Date.now() });
    assert.deepEqual([await check(ca.cert), await check(leaf.cert)], [true, false]);
    assert.match(await offload.run("pinOf", { certificate: der(leaf.cert) }), /^[0-9a-f]{64}$/);
  });

  for (const size of [0, 1, 2, 3, 1_000, 300_000]) {
    test(`${size} octets survive base64 both ways`, async () => {
      const bytes = randomBytes(size);
      const text = await offload.run("encodeBase64", { bytes });
      assert.equal(Buffer.from(text).toString("latin1"), bytes.toString("base64"));
      const back = await offload.run("decodeBase64", { text });
      assert.ok(back !== undefined && bytes.equals(Buffer.from(back)));
    });
  }

  test("what is no base64 is told", async () => {
    for (const text of ["a", "ab", "abc", "ab==c", "a*cd", "YQ=", "=AAA"])
      assert.equal(await offload.run("decodeBase64", { text: Buffer.from(text) }), undefined, text);
  });

  test("base64 does not leave the loop, what does is counted with its time", async () => {
    const { inline, done, ran } = offload.counts;
    await offload.run("encodeBase64", { bytes: Buffer.alloc(1_000_000) });
    await offload.hashBcrypt("secret", 4);
    assert.deepEqual([offload.counts.inline - inline, offload.counts.done - done], [1, 1]);
    assert.ok(offload.counts.ran > ran);
  });
});

describe("the bounds of the thread pool", () => {
  const started: Offload[] = [];
  const faulty = (options: { maxQueue?: number; timeout?: number } = {}): Offload => {
    const offload = new Offload({ threads: 1, threadFile: FAULTY, ...options });
    started.push(offload);
    return offload;
  };
  after(() => Promise.all(started.map((offload) => offload.close())));

  test("past the queue's length jobs fail at once; those that wait are done", async () => {
    const offload = faulty({ maxQueue: 5, timeout: 500 });
    const hanging = [offload.verifyBcrypt("hang", ""), offload.verifyBcrypt("hang", "")];
    const waiting = Array.from({ length: 5 }, (_, at) => offload.verifyBcrypt(`w${at}`, ""));
    await assert.rejects(offload.verifyBcrypt("late", ""), failsWith("full"));
    assert.equal(offload.waiting, 5);
    for (const one of hanging) await assert.rejects(one, (error) => error instanceof OffloadError);
    await Promise.allSettled(waiting);
    assert.equal(offload.counts.failed.full, 1);
    assert.equal(offload.waiting, 0);
  });

  test("a job that takes too long fails, and its thread is replaced", async () => {
    // Long enough for a new thread to start on a machine that is busy.
    const offload = faulty({ timeout: 3_000 });
    await assert.rejects(offload.verifyBcrypt("hang", ""), failsWith("timeout"));
    assert.equal(await offload.verifyBcrypt("next", ""), "next" as never);
  });

  test("a thread that dies fails its job and no other", async () => {
    const offload = faulty();
    await assert.rejects(offload.verifyBcrypt("die", ""), failsWith("broken"));
    assert.equal(await offload.verifyBcrypt("next", ""), "next" as never);
    assert.equal(offload.counts.failed.broken, 1);
  });

  test("what a job throws is not taken for a broken thread", async () => {
    await assert.rejects(faulty().verifyBcrypt("throw", ""), RangeError);
  });

  test("a job whose caller is gone is taken out of the queue", async () => {
    const offload = faulty({ timeout: 300 });
    const hanging = offload.verifyBcrypt("hang", "").catch(() => "over");
    void offload.verifyBcrypt("next", "").catch(() => "over");
    const gone = new AbortController();
    const waiting = offload.verifyBcrypt("gone", "", gone.signal);
    gone.abort();
    await assert.rejects(waiting, failsWith("cancelled"));
    await assert.rejects(offload.verifyBcrypt("late", "", gone.signal), failsWith("cancelled"));
    assert.equal(await hanging, "over");
  });

  test("jobs that were taken out of the queue take no place in it, however many they are", async () => {
    const offload = faulty({ maxQueue: 5, timeout: 3_000 });
    const running = [offload.verifyBcrypt("sleep", ""), offload.verifyBcrypt("next", "")];
    const gone: Promise<unknown>[] = [];
    for (let n = 0; n < 50; n++) {
      const caller = new AbortController();
      gone.push(assert.rejects(offload.verifyBcrypt("gone", "", caller.signal), failsWith("cancelled")));
      caller.abort();
      assert.equal(offload.waiting, 0);
    }
    const waiting = Array.from({ length: 5 }, (_, at) => offload.verifyBcrypt(`w${at}`, ""));
    assert.equal(offload.waiting, 5);
    await assert.rejects(offload.verifyBcrypt("late", ""), failsWith("full"));
    await Promise.all([...running, ...gone]);
    assert.deepEqual(await Promise.all(waiting), ["w0", "w1", "w2", "w3", "w4"]);
    assert.deepEqual([offload.waiting, offload.counts.done], [0, 7]);
  });

  test("a job whose caller goes while a thread runs it fails at once, and the thread finishes it", async () => {
    const offload = faulty();
    const gone = new AbortController();
    const job = offload.verifyBcrypt("sleep", "", gone.signal);
    assert.equal(offload.running, 1);
    gone.abort();
    await assert.rejects(job, failsWith("cancelled"));
    assert.equal(await offload.verifyBcrypt("next", ""), "next" as never);
    assert.deepEqual(offload.counts.failed, { full: 0, timeout: 0, cancelled: 1, broken: 0, closed: 0 });
  });

  test("jobs leave nothing behind on a signal that lives on", async () => {
    const offload = faulty();
    const { signal } = new AbortController();
    await offload.verifyBcrypt("one", "", signal);
    await assert.rejects(offload.verifyBcrypt("throw", "", signal), RangeError);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  test("a job that waits for another is counted with the time it waited", async () => {
    const offload = faulty();
    await Promise.all([offload.verifyBcrypt("sleep", ""), offload.verifyBcrypt("next", "")]);
    const { done, waited, longestWait, byKind } = offload.counts;
    assert.deepEqual([done, byKind.verifyBcrypt], [2, 2]);
    assert.ok(longestWait > 0 && waited >= longestWait);
  });

  test("closing fails what waits and ends the threads", async () => {
    const offload = faulty();
    const all = Array.from({ length: 5 }, () => offload.verifyBcrypt("hang", ""));
    const ended = Promise.allSettled(all);
    await offload.close();
    for (const one of await ended) assert.equal(one.status, "rejected");
    await assert.rejects(offload.verifyBcrypt("late", ""), failsWith("closed"));
  });

  test("threads are the cores divided among the workers, at least one", () => {
    assert.deepEqual([threadsPerWorker(8, 2), threadsPerWorker(2, 2), threadsPerWorker(1, 4)], [4, 1, 1]);
  });
});
