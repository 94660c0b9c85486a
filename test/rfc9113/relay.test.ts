// Responsible for: what passes through the gateway as sent, and what it makes of a service that goes away or declines.
// Must not know: the engine's insides. Governed by: RFC 9113; issue 2, section 6. One gateway, one service per test.

import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { WireClient } from "../support/wire/client.js";
import { WireServer } from "../support/wire/server.js";
import { fields, windows } from "./relay-content.js";
import { endings, moving } from "./relay-fates.js";
import type { Relay } from "./relay-scene.js";

let gateway: Gateway;
const services: WireServer[] = [];

const relays: Relay[] = [...moving, ...endings, ...fields, ...windows];

describe("relay", () => {
  before(async () => {
    for (const it of relays) services.push(await WireServer.listen(it.server));
    gateway = await startGateway({
      definitions: services.map((it, at) => keyless({ id: `relay-${at}`, path: `/relay-${at}/`, target: it.target })),
    });
  });

  after(async () => {
    await gateway?.stop();
    for (const it of services) await it.close();
  });

  for (const [at, it] of relays.entries()) {
    test(it.says, async () => {
      const client = await WireClient.ready(gateway.port);
      try {
        await it.run({ client, port: gateway.port, service: services[at]!, path: `/relay-${at}/Call` });
      } finally {
        client.close();
      }
    });
  }
});
