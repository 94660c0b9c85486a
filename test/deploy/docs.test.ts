// Responsible for: docs/ does not speak of what is not there: links, settings, paths of the control API, lines of the log,
// metrics; and its examples of settings, definitions, policies and keys have no error.
// Must not know: what the pages advise. Governed by: docs/.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { OPERATIONS } from "../../src/primary/control/open-api.js";
import { readSettings } from "../../src/shared/config/read.js";
import { settingsObject } from "../../src/shared/config/schema.js";
import { SETTINGS_SUPPORT } from "../../src/shared/config/support.js";
import { checkSession } from "../../src/shared/keys/codec.js";
import { judgeDefinition } from "../../src/shared/model/definition.js";
import { policySchema } from "../../src/shared/model/policy.js";
import { SUPPORT } from "../../src/shared/model/support.js";
import { readTargetPolicy } from "../../src/shared/model/target-policy.js";
import { unknownFields } from "../../src/shared/model/unknown-fields.js";
import { linksOf, type Page, pages, quotedIn, ROOT } from "./pages.js";
import { leaves } from "./reference.js";

type Shown = { readonly sluice: Readonly<Record<string, object>> };

const PAGES = pages();
/** Custom domains and TLS on, so that examples of both are judged. */
const OPEN = settingsObject.parse({ disable_ports_whitelist: true, enable_custom_domains: true });
const SECURE = settingsObject.parse({ ...OPEN, http_server_options: { use_ssl: true } });

function sources(folder: string): string {
  const files = readdirSync(join(ROOT, folder), { recursive: true }) as string[];
  return files
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(join(ROOT, folder, file), "utf8"))
    .join("\n");
}

function eachFence(info: string, check: (value: unknown, page: Page) => void): void {
  for (const page of PAGES) {
    for (const fence of page.fences) {
      if (fence.info !== info) continue;
      try {
        check(JSON.parse(fence.text), page);
      } catch (error) {
        throw new Error(`${page.path}, a block "${info}": ${(error as Error).message}\n${fence.text}`);
      }
    }
  }
}

describe("the pages for operators", () => {
  test("link to files that exist", () => {
    for (const page of PAGES)
      for (const link of linksOf(page))
        assert.ok(existsSync(join(ROOT, dirname(page.path), link)), `${page.path} links to ${link}`);
  });

  test("are all within reach of docs/README.md", () => {
    const index = PAGES.find((page) => page.path === "docs/README.md");
    assert.ok(index !== undefined);
    const linked = linksOf(index);
    for (const { path } of PAGES) {
      const name = path.replace("docs/", "");
      if (path.startsWith("docs/") && name !== "README.md") assert.ok(linked.includes(name), `${name} is not linked`);
    }
  });

  test("show settings that have no problem", () => {
    eachFence("json settings", (value) => {
      const { problems } = readSettings(value, "docs", { env: { REDIS_PASSWORD: "of our own" }, readFile: () => "x" });
      assert.deepEqual(problems, []);
    });
  });

  test("show definitions that are served, without a warning", () => {
    eachFence("json definition", (value) => {
      const secure = (value as Record<string, unknown>)["protocol"] === "";
      const { problems } = judgeDefinition(value, "docs", secure ? SECURE : OPEN);
      assert.deepEqual(problems, []);
    });
  });

  test("show policies and keys that are accepted", () => {
    eachFence("json policy", (value) => {
      policySchema.parse(value);
      assert.deepEqual(unknownFields(policySchema, value), []);
    });
    eachFence("json key", (value) => assert.ok(!("problem" in checkSession(value))));
  });

  test("name settings and fields that exist", () => {
    const known = [
      ...leaves(settingsObject).map((path) => path.join(".")),
      ...Object.keys(SETTINGS_SUPPORT),
      ...Object.keys(SUPPORT),
    ];
    const code = sources("src");
    const sections = new Set(known.filter((name) => name.includes(".")).map((name) => name.split(".")[0]));
    const exists = (name: string): boolean =>
      known.some((each) => each === name || each.startsWith(`${name}.`)) ||
      // Names that are ours beside the settings: attributes of spans.
      code.includes(`"${name}"`) ||
      // Below a field that is supported as a whole.
      known.some((each) => name.startsWith(`${each}.`));
    for (const page of PAGES)
      for (const quoted of quotedIn(page)) {
        const name = /^([a-z_]+)(\.[a-z_]+)+$/.test(quoted) ? quoted : "";
        if (sections.has(name.split(".")[0])) assert.ok(exists(name), `${page.path} speaks of ${name}`);
      }
  });

  test("name paths of the control API that exist", () => {
    const patterns = OPERATIONS.map(
      ({ path }) => new RegExp(`^${path.replaceAll(".", "\\.").replace(/\{\w+\}/g, "[^/]+")}$`),
    );
    for (const page of PAGES)
      for (const [path] of page.text.matchAll(/\/tyk\/[a-z][\w.{}$-]*(\/[\w.{}$-]+)*/g)) {
        const plain = path.replace(/\.$/, "");
        const isPrefix = OPERATIONS.some((each) => each.path.startsWith(`${plain}/`));
        const isOther = plain === "/tyk/rate-limits" || plain.startsWith("/tyk/tyk.conf");
        assert.ok(isPrefix || isOther || patterns.some((each) => each.test(plain)), `${page.path} speaks of ${plain}`);
      }
  });

  test("quote lines of the log as the program writes them", () => {
    const code = sources("src");
    const page = PAGES.find(({ path }) => path === "docs/bad-day.md");
    assert.ok(page !== undefined);
    const lines = [...page.text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, line = ""]) => line);
    assert.ok(lines.length > 20);
    for (const line of lines) assert.ok(code.includes(line), `the log never says ${JSON.stringify(line)}`);
  });

  test("have a paragraph for each alert, and no other", () => {
    const page = PAGES.find(({ path }) => path === "docs/runbook.md");
    const rules = page?.fences.find(({ info }) => info === "yaml rules")?.text ?? "";
    const { groups } = parse(rules) as { groups: { rules: { alert: string; expr: string }[] }[] };
    const alerts = groups.flatMap((group) => group.rules);
    for (const { alert, expr } of alerts) assert.match(expr, /sluice_[a-z_]+/, alert);
    const headings = [...(page?.text ?? "").matchAll(/^## (Sluice\w+)$/gm)].map(([, name]) => name);
    assert.deepEqual(
      headings,
      alerts.map(({ alert }) => alert),
    );
  });

  test("show every field of a definition that is ours", () => {
    const page = PAGES.find(({ path }) => path === "docs/definitions.md");
    const shown = JSON.parse(page?.fences.find(({ text }) => text.includes('"sluice"'))?.text ?? "{}") as Shown;
    const empty = { sluice: { balance: {}, health: {}, ejection: {} } };
    const policy: unknown = readTargetPolicy(empty, 1, (_level, _path, message) => assert.fail(message));
    for (const [part, fields] of Object.entries(policy as Shown["sluice"]))
      assert.deepEqual(Object.keys(shown.sluice[part] ?? {}).sort(), Object.keys(fields).sort(), part);
    const parts = Object.keys(SUPPORT).flatMap((path) => (path.startsWith("sluice.") ? [path.slice(7)] : []));
    assert.deepEqual(Object.keys(shown.sluice).sort(), parts.sort());
  });

  test("name metrics that are exported", () => {
    const code = sources("src/primary/metrics");
    for (const page of PAGES)
      for (const [name] of page.text.matchAll(/\bsluice_[a-z_]+[a-z]/g)) {
        const base = name.replace(/_(bucket|sum|count)$/, "");
        assert.ok(code.includes(base), `${page.path} speaks of the metric ${name}`);
      }
  });
});
