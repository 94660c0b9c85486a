// The table against a slow twin that says the rule in so many words: sort all APIs, take the first that fits.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Api, answer, tableOf } from "./fixture.js";

function twin(apis: readonly Api[], strict: boolean, port: number, host: string, path: string): string {
  const kind = (domain: string) => (domain.includes("{") ? 2 : domain.startsWith("*") ? 1 : 0);
  const sorted = [...apis].sort(
    (a, b) =>
      Number((a.domain ?? "") === "") - Number((b.domain ?? "") === "") ||
      b.path.length - a.path.length ||
      kind(a.domain ?? "") - kind(b.domain ?? ""),
  );
  const asked = path.split("?")[0] ?? "";
  for (const api of sorted) {
    if ((api.port ?? 8080) !== port || !hostFits(api.domain ?? "", host) || !pathFits(api.path, asked)) continue;
    const rest = asked.slice(api.path.length);
    const literal = !api.path.includes("{");
    const runsOn = literal && !api.path.endsWith("/") && rest !== "" && !rest.startsWith("/");
    return strict && runsOn ? "none" : (api.id ?? "");
  }
  return "none";
}

function hostFits(domain: string, host: string): boolean {
  if (domain === "" || domain === host) return true;
  const label = host.indexOf(".");
  if (domain.startsWith("*.")) return label > 0 && host.slice(label + 1) === domain.slice(2);
  return domain === "{d:[ab]+}.x" && /^[ab]+\.x$/.test(host);
}

function pathFits(listenPath: string, path: string): boolean {
  if (!listenPath.includes("{")) return path.startsWith(listenPath);
  return new RegExp(`^${listenPath.replace("{v}", "[^/]+").replace("{w:a*}", "a*")}`).test(path);
}

// Few letters, so that names share beginnings; no dots, so that nothing is cleaned away.
const name = fc.stringMatching(/^[ab]{0,3}$/);
const literalPath = fc
  .array(name, { minLength: 1, maxLength: 3 })
  .map((names) => `/${names.filter((n, i) => n !== "" || i === names.length - 1).join("/")}`);
const listenPath = fc.oneof(
  { weight: 5, arbitrary: literalPath },
  { weight: 1, arbitrary: literalPath.map((path) => `${path.replace(/\/$/, "")}/{v}`) },
  { weight: 1, arbitrary: literalPath.map((path) => `${path.replace(/\/$/, "")}/{w:a*}/b`) },
);
const domain = fc.constantFrom("", "", "", "a.x", "b.x", "*.x", "{d:[ab]+}.x");
const api = fc.record({ path: listenPath, domain, port: fc.constantFrom(8080, 8080, 6000) });
const asked = fc.record({
  path: fc
    .tuple(literalPath, fc.constantFrom("", "?a=/b", "/"))
    .map(([path, end]) => (path.endsWith("/") && end === "/" ? path : path + end)),
  host: fc.constantFrom("a.x", "b.x", "ab.x", "c.x", "a.a.x", "x", ""),
  port: fc.constantFrom(8080, 6000, 1),
});

test("the table and its twin agree on every path, host and port", () => {
  fc.assert(
    fc.property(
      fc.array(api, { maxLength: 25 }),
      fc.array(asked, { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      (found, questions, strict) => {
        const seen = new Set<string>();
        const apis = found
          .filter((a) => {
            const key = `${a.port} ${a.domain} ${a.path}`;
            return !seen.has(key) && seen.add(key);
          })
          .map((a, index) => ({ ...a, id: String(index) }));
        const table = tableOf(apis, { strict });
        for (const { path, host, port } of questions)
          assert.equal(answer(table, path, host, port), twin(apis, strict, port, host, path), `${host} ${path}`);
      },
    ),
    { numRuns: 1_500 },
  );
});

test("a thousand definitions are told apart", () => {
  const apis = Array.from({ length: 1_000 }, (_, i) => ({ id: `s${i}`, path: `/pkg.v${i % 7}.Service${i}` }));
  const table = tableOf(apis, { strict: true });
  for (const { id, path } of apis) {
    assert.equal(answer(table, `${path}/Method`), id);
    assert.equal(answer(table, `${path}x/Method`), "none");
  }
});
