// Responsible for: when a service is left alone, what its callers are told meanwhile, and how it comes back.
// Must not know: how failures are counted. Governed by: Tyk's circuit_breakers; issue 6, item 3. Tests only.

import assert from "node:assert/strict";
import type { Scene } from "../rfc9113/relay-scene.js";
import { statusOf } from "../rfc9113/relay-scene.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { type Case, message, now, pause, start, timeout, toldOf, trailersOnly } from "./course.js";

const breaker =
  (more: Record<string, unknown> = {}) =>
  () => ({
    extended_paths: {
      circuit_breakers: [
        { path: "/Call", method: "POST", threshold_percent: 0.5, samples: 4, return_to_service_after: 0.15, ...more },
      ],
    },
  });

/** One call whose service ends it in trailers behind response headers, or in headers alone. */
async function ends(
  scene: Scene,
  status: number,
  inTrailers = true,
  more: Parameters<typeof start>[1] = [],
): Promise<void> {
  const stream = start(scene, more);
  const it = await scene.service.request();
  const head = trailersOnly(status);
  if (inTrailers) {
    const trailers: [string, string][] = [["grpc-status", String(status)]];
    it.connection.reply(it.stream, { fields: [["content-type", "application/grpc"]], trailers });
  } else it.connection.reply(it.stream, head);
  assert.equal(statusOf(await scene.client.message(stream)), String(status));
}

/** A call that the breaker refuses: it is told at once, and the service hears nothing. */
async function refused(scene: Scene): Promise<void> {
  const told = toldOf(await scene.client.message(start(scene)));
  assert.deepEqual(told, { status: "14", text: "Service temporarily unavailable." });
  assert.equal(scene.service.untaken, 0);
}

export const breakers: Case[] = [
  {
    says: "peers 27: statuses in trailers open a breaker; then calls end at once, and a good one closes it",
    version: breaker(),
    run: async (scene) => {
      await ends(scene, 0);
      for (const status of [14, 4, 14]) await ends(scene, status);
      const opened = now();
      await refused(scene);
      await refused(scene);
      await pause(Math.max(0, 160 - (now() - opened)));
      await ends(scene, 0);
      for (let n = 0; n < 3; n++) await ends(scene, 14);
      // Three bad ones of four that count, since it begins anew.
      await ends(scene, 0);
    },
  },
  {
    says: "responses of trailers only count as well, and a connection that is lost",
    version: breaker(),
    run: async (scene) => {
      for (let n = 0; n < 3; n++) await ends(scene, 14, false);
      const stream = start(scene);
      const it = await scene.service.request();
      it.connection.close();
      assert.equal(statusOf(await scene.client.message(stream)), "14");
      await refused(scene);
    },
  },
  {
    says: "statuses that answer a call are none that speak against the service",
    version: breaker({ samples: 1 }),
    run: async (scene) => {
      for (const status of [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16]) await ends(scene, status);
    },
  },
  {
    says: "an entry says itself which statuses do",
    version: breaker({ samples: 2, grpc_statuses: ["INTERNAL"] }),
    run: async (scene) => {
      for (let n = 0; n < 3; n++) await ends(scene, 14);
      for (let n = 0; n < 3; n++) await ends(scene, 13);
      await refused(scene);
    },
  },
  {
    says: "with an empty list of statuses only calls without an answer open it",
    version: breaker({ samples: 1, threshold_percent: 0.1, grpc_statuses: [] }),
    run: async (scene) => {
      for (const status of [14, 13, 4]) await ends(scene, status);
      const stream = start(scene);
      const it = await scene.service.request();
      it.connection.close();
      await scene.client.message(stream);
      await refused(scene);
    },
  },
  {
    says: "deadlines of callers do not open it, neither kept by the gateway nor told by the service",
    version: breaker({ samples: 2 }),
    run: async (scene) => {
      await ends(scene, 0);
      for (let n = 0; n < 4; n++) {
        const stream = start(scene, timeout("40m"));
        await scene.service.request();
        assert.equal(toldOf(await scene.client.message(stream)).status, "4");
      }
      for (let n = 0; n < 4; n++) await ends(scene, 4, true, timeout("10S"));
      await ends(scene, 0);
    },
  },
  {
    says: "the operator's own bound does",
    version: () => {
      const { extended_paths } = breaker({ samples: 2 })();
      return { global_enforce_timeout: "30ms", extended_paths };
    },
    run: async (scene) => {
      for (let n = 0; n < 2; n++) assert.equal(toldOf(await scene.client.message(start(scene))).status, "4");
      const told = toldOf(await scene.client.message(start(scene)));
      assert.equal(told.status, "14");
    },
  },
  {
    says: "but not where callers keep back their requests' end, or do not take what they are sent",
    version: () => {
      const { extended_paths } = breaker({ samples: 2 })();
      return { global_enforce_timeout: "150ms", extended_paths };
    },
    run: async (scene) => {
      for (let n = 0; n < 4; n++) {
        const stream = start(scene, [], null);
        await scene.service.request();
        assert.equal(toldOf(await scene.client.message(stream)).status, "4");
      }
      scene.client.send(f.settings([f.Setting.INITIAL_WINDOW_SIZE, 0]));
      for (let n = 0; n < 4; n++) {
        const stream = start(scene);
        const it = await scene.service.request();
        const head = block([":status", "200"], ["content-type", "application/grpc"]);
        it.connection.send(f.headers(it.stream, head, { end: false }), f.data(it.stream, message(100)));
        assert.equal((await scene.client.message(stream)).reset, f.Code.CANCEL);
      }
      await ends(scene, 0);
    },
  },
  {
    says: "half-open, one call at a time is let through; when it fails it stays open",
    version: breaker({ return_to_service_after: 0.1 }),
    run: async (scene) => {
      for (let n = 0; n < 4; n++) await ends(scene, 14);
      await pause(110);
      const trial = start(scene);
      const it = await scene.service.request();
      await refused(scene);
      it.connection.reply(it.stream, trailersOnly(14));
      assert.equal(toldOf(await scene.client.message(trial)).text, "");
      await refused(scene);
    },
  },
  {
    says: "a trial that its caller gives up leaves the place to the next",
    version: breaker({ return_to_service_after: 0.1 }),
    run: async (scene) => {
      for (let n = 0; n < 4; n++) await ends(scene, 14);
      await pause(110);
      const trial = start(scene);
      const it = await scene.service.request();
      scene.client.send(f.reset(trial, f.Code.CANCEL));
      await it.connection.expectReset(it.stream, f.Code.CANCEL);
      await ends(scene, 0);
      await ends(scene, 0);
    },
  },
  {
    says: "with disable_half_open_state it simply closes when the time is over",
    version: breaker({ disable_half_open_state: true, return_to_service_after: 0.1 }),
    run: async (scene) => {
      for (let n = 0; n < 4; n++) await ends(scene, 14);
      await refused(scene);
      await pause(110);
      const streams = [start(scene), start(scene)];
      for (const _ of streams) {
        const it = await scene.service.request();
        it.connection.replyGrpc(it.stream);
      }
      for (const stream of streams) assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "other paths of the API go on",
    version: breaker(),
    run: async (scene) => {
      for (let n = 0; n < 4; n++) await ends(scene, 14);
      await refused(scene);
      await ends({ ...scene, path: scene.path.replace("Call", "Other") }, 0);
    },
  },
  {
    says: "what a retry saved counts all the same, and an open breaker ends retries too",
    version: breaker({ samples: 3, return_to_service_after: 60 }),
    ours: () => ({ retry: { statuses: ["UNAVAILABLE"], backoff: 0, budget_min: 100 } }),
    run: async (scene) => {
      const first = start(scene);
      for (const status of [14, 0]) {
        const it = await scene.service.request();
        it.connection.reply(it.stream, trailersOnly(status));
      }
      assert.equal(statusOf(await scene.client.message(first)), "0");
      const second = start(scene);
      const it = await scene.service.request();
      it.connection.reply(it.stream, trailersOnly(14));
      assert.equal(toldOf(await scene.client.message(second)).text, "Service temporarily unavailable.");
      await refused(scene);
    },
  },
];
