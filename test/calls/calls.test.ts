// Responsible for: the course of calls through one real gateway: deadlines, retries, breakers, sizes of messages.
// Must not know: the engine's insides. Governed by: issue 6, items 2, 3, 4 and 6. One gateway, one service per test.

import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { WireClient } from "../support/wire/client.js";
import { WireServer } from "../support/wire/server.js";
import { breakers } from "./breaker-cases.js";
import type { Case } from "./course.js";
import { deadlines } from "./deadline-cases.js";
import { messages } from "./message-cases.js";
import { pains } from "./pain-cases.js";
import { retries } from "./retry-cases.js";

const groups: Record<string, Case[]> = { deadlines, retries, breakers, messages, pains };
const cases = Object.values(groups).flat();
const services: WireServer[] = [];
let gateway: Gateway;

function definition(it: Case, at: number) {
  const path = `/course-${at}`;
  const version = { name: "Default", use_extended_paths: true, ...it.version?.(path) };
  const more = { version_data: { not_versioned: true, versions: { Default: version } }, sluice: it.ours?.(path) ?? {} };
  return keyless({ id: `course-${at}`, path: `${path}/`, target: services[at]!.target, more });
}

describe("the course of calls", () => {
  before(async () => {
    for (const it of cases) services.push(await WireServer.listen(it.server));
    gateway = await startGateway({
      definitions: cases.map(definition),
      settings: { upstream: { replay_bytes_per_call: 4_096, min_connections: 1, max_connections: 1 } },
    });
  });

  after(async () => {
    await gateway?.stop();
    for (const it of services) await it.close();
  });

  for (const [name, group] of Object.entries(groups))
    describe(name, () => {
      for (const it of group)
        test(it.says, async () => {
          const at = cases.indexOf(it);
          const client = await WireClient.ready(gateway.port);
          try {
            await it.run({ client, port: gateway.port, service: services[at]!, path: `/course-${at}/Call` });
          } finally {
            client.close();
          }
        });
    });
});
