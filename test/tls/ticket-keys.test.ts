// Ticket keys of replicas: the same for all, through the store, and the right ones at the right time.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LocalShelf, TicketRotation } from "../../src/primary/ticket-keys.js";
import { StoreTicketShelf } from "../../src/shared/certificates/ticket-shelf.js";
import type { TicketKeys } from "../../src/shared/messages.js";
import { type Made, make } from "./certificates.js";
import { api, FrontHarness, visit } from "./harness.js";

/** As the store behaves, without its homes. */
class Shared {
  readonly values = new Map<string, Uint8Array>();

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.values.get(name);
  }

  async put(name: string, value: Uint8Array, options: { when?: string | undefined } = {}): Promise<boolean> {
    if (options.when === "absent" && this.values.has(name)) return false;
    this.values.set(name, value);
    return true;
  }
}

const HOUR = 3_600_000;

const rotation = (shelf: StoreTicketShelf | LocalShelf): TicketRotation => new TicketRotation(shelf, HOUR, () => {});

test("replicas that begin at once, at any time of an epoch, have the same keys", async () => {
  const shared = new Shared();
  const shelves = [1, 2, 3].map(() => rotation(new StoreTicketShelf(shared as never, "secret", HOUR)));
  const keys = await Promise.all(shelves.map((one) => one.keysOf(7)));
  const later = await rotation(new StoreTicketShelf(shared as never, "secret", HOUR)).keysOf(7);
  for (const one of [...keys, later]) assert.deepEqual(Buffer.from(one.current), Buffer.from(keys[0]!.current));
  for (const one of [...keys, later]) assert.deepEqual(Buffer.from(one.previous!), Buffer.from(keys[0]!.previous!));
  assert.notDeepEqual(Buffer.from(later.current), Buffer.from(later.previous!));
});

test("the next epoch's previous key is this epoch's current one", async () => {
  const one = rotation(new LocalShelf());
  const [now, next] = [await one.keysOf(7), await one.keysOf(8)];
  assert.deepEqual(next.previous, now.current);
});

test("what lies in the store is not the key, and opens under the same secret only", async () => {
  const shared = new Shared();
  const { current } = await rotation(new StoreTicketShelf(shared as never, "secret", HOUR)).keysOf(7);
  for (const value of shared.values.values()) assert.ok(!Buffer.from(value).includes(Buffer.from(current)));
  await assert.rejects(rotation(new StoreTicketShelf(shared as never, "other", HOUR)).keysOf(7), /another secret/);
});

test("tickets of one replica are accepted by another that was started elsewhere with other paths", async () => {
  const made: Made = await make({ name: "localhost" });
  const folders = [mkdtempSync(join(tmpdir(), "sluice-a-")), mkdtempSync(join(tmpdir(), "sluice-b-"))];
  const shared = new Shared();
  const replicas = await Promise.all(
    folders.map(async (folder) => {
      let keys!: TicketKeys;
      const shelf = new StoreTicketShelf(shared as never, "secret", HOUR);
      const turning = new TicketRotation(shelf, HOUR, (got) => {
        keys = got;
      });
      await turning.start();
      turning.stop();
      const one = new FrontHarness().listen();
      one.front.tickets(keys);
      return one.configure([api("open", "")], {
        app_path: folder,
        http_server_options: { use_ssl: true, ssl_certificates: [made.pem] },
      });
    }),
  );
  try {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const only = { minVersion: version, maxVersion: version } as const;
      for (const [from, to] of [
        [0, 1],
        [1, 0],
      ] as const) {
        const { session } = await visit(replicas[from]!.port, only);
        const came = await visit(replicas[to]!.port, { ...only, session });
        assert.deepEqual([came.resumed, came.answer], [true, "heard hello"]);
      }
    }
  } finally {
    for (const one of replicas) one.close();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
});
