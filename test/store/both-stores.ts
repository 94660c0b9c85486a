/** Runs one suite against each home of the store. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { EmbeddedStore } from "../../src/shared/store/embedded.js";
import { RedisStore } from "../../src/shared/store/redis.js";
import type { Store } from "../../src/shared/store/store.js";
import { type RedisServer, redisMissing, startRedis } from "./redis-server.js";

export interface Home {
  /** A store of this home, opened; each call is another client of the same data. */
  open(): Promise<Store>;
}

export function onBothStores(title: string, suite: (home: Home) => void): void {
  describe(`${title}, embedded`, () => {
    const opened: Store[] = [];
    const folder = mkdtempSync(join(tmpdir(), "sluice-store-"));
    suite({
      async open() {
        const store = new EmbeddedStore({
          path: folder,
          announce: () => {
            for (const other of opened) if (other instanceof EmbeddedStore) other.poke();
          },
        });
        await store.open();
        opened.push(store);
        return store;
      },
    });
    after(async () => {
      for (const store of opened) await store.close();
      rmSync(folder, { recursive: true, force: true });
    });
  });

  describe(`${title}, redis`, { skip: redisMissing() }, () => {
    const opened: Store[] = [];
    let server: RedisServer;
    before(async () => {
      server = await startRedis();
    });
    suite({
      async open() {
        const store = new RedisStore({ host: "127.0.0.1", port: server.port, nodeSecret: "s", allowUnsigned: false });
        await store.open();
        opened.push(store);
        return store;
      },
    });
    after(async () => {
      for (const store of opened) await store.close();
      await server.stop();
    });
  });
}

/** Resolves with the first thing heard that satisfies `wanted`. */
export function heard<News>(
  listen: (listener: (news: News) => void) => () => void,
  wanted: (news: News) => boolean,
): Promise<News> {
  return new Promise((resolve) => {
    const end = listen((news) => {
      if (!wanted(news)) return;
      end();
      resolve(news);
    });
  });
}
