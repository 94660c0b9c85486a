/**
 * What does the gate cost a call: with a remembered decision, and decided anew for a known key? Against a gate that asks everything every
 * time, as plainly as it can be said. What limits cost is in limits.ts. Run: node <built>/bench/micro/admission.js
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bench, do_not_optimize, group, run } from "mitata";
import { hashKey, keyRules } from "../../src/shared/keys/token.js";
import type { Session } from "../../src/shared/model/session.js";
import { EmbeddedStore } from "../../src/shared/store/embedded.js";
import type { Decision } from "../../src/worker/admit/gate.js";
import { definition, makeBench, token } from "../../test/admit/gate-bench.js";

const KEYS = 1_000;
const PATH = "/pkg.Service/Method";
const session: Session = {
  access_rights: {
    test: { api_id: "test", versions: ["Default"], allowed_urls: [{ url: "^/pkg[.]Service/.*", methods: ["POST"] }] },
  },
};

const folder = mkdtempSync(join(tmpdir(), "sluice-micro-"));
const store = new EmbeddedStore({ path: folder });
await store.open();
const { gate, ask, key, clock } = makeBench(store, [definition()]);
const api = gate.api("test")!;
const tokens: string[] = [];
for (let i = 0; i < KEYS; i++) tokens.push(await key(`key-${i}`, session));
const decisions: Decision[] = [];
for (const one of tokens) decisions.push(await ask(token(one)));
if (decisions.some((decision) => decision.verdict !== 0)) throw new Error("a key was refused");

const rules = keyRules({});
const sessions = new Map(tokens.map((one) => [hashKey(one, rules), session]));

const plainlyAdmitted = (authorization: string, method: string, path: string): boolean => {
  const found = sessions.get(hashKey(authorization.replace(/^bearer /i, ""), rules));
  if (found === undefined || found.is_inactive || ((found.expires ?? 0) > 0 && Date.now() > found.expires! * 1_000))
    return false;
  const access = found.access_rights?.["test"];
  if (access?.versions?.includes("Default") !== true) return false;
  return (access.allowed_urls ?? []).some(
    (allowed) => new RegExp(allowed.url).test(path) && allowed.methods?.includes(method) === true,
  );
};

for (const count of [1, KEYS]) {
  group(`${count} key${count === 1 ? "" : "s"} in turn`, () => {
    let i = 0;
    bench("remembered decision", () => do_not_optimize(gate.holds(decisions[i++ % count]!, clock.now)));
    let j = 0;
    bench("decided anew, session known", () => {
      const one = tokens[j++ % count]!;
      const get = (): string => one;
      do_not_optimize(gate.admit({ api, method: "POST", path: PATH, peer: "127.0.0.1", get }, () => undefined));
    });
    let k = 0;
    bench("plain twin", () => do_not_optimize(plainlyAdmitted(tokens[k++ % count]!, "POST", PATH)));
  });
}

await run();
gate.close();
await store.close();
rmSync(folder, { recursive: true, force: true });
