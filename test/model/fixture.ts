// Settings, definitions and folders for the tests of the model.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { readSettings } from "../../src/shared/config/read.js";
import type { Settings } from "../../src/shared/config.js";
import { type Judgement, judgeDefinition } from "../../src/shared/model/definition.js";

const noFile = (): string => {
  throw new Error("no file is read here");
};

export function settingsWith(document: Record<string, unknown> = {}): Settings {
  const { settings, problems } = readSettings(document, "tyk.conf", { env: {}, readFile: noFile });
  if (settings === undefined) throw new Error(JSON.stringify(problems));
  return settings;
}

interface Document {
  [key: string]: unknown;
  proxy?: Record<string, unknown>;
}

/** A definition that is served as it is, with changes laid over it. */
export function definitionWith(changes: Document = {}): Document {
  return {
    api_id: "greeter",
    org_id: "default",
    name: "Greeter",
    active: true,
    use_keyless: true,
    version_data: { not_versioned: true, versions: { Default: { name: "Default", use_extended_paths: true } } },
    ...changes,
    proxy: { listen_path: "/helloworld.Greeter", target_url: "h2c://localhost:50051", ...changes.proxy },
  };
}

export function judge(document: unknown, settings: Settings = settingsWith()): Judgement {
  return judgeDefinition(document, "apps/greeter.json", settings);
}

export function errorsOf(judgement: Judgement): string[] {
  return judgement.problems.filter((p) => p.level === "error").map((p) => `${p.path} ${p.message}`);
}

export function warningsOf(judgement: Judgement): string[] {
  return judgement.problems.filter((p) => p.level === "warning").map((p) => `${p.path} ${p.message}`);
}

/** A folder that is gone with the test: `tyk.conf` and the files of `apps/`. */
export function folderWith(
  t: TestContext,
  settings: Record<string, unknown> | string,
  apps: Readonly<Record<string, unknown>>,
): { conf: string; apps: string } {
  const folder = mkdtempSync(join(tmpdir(), "sluice-model-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const inside = join(folder, "apps");
  mkdirSync(inside);
  for (const [name, content] of Object.entries(apps))
    writeFileSync(join(inside, name), typeof content === "string" ? content : JSON.stringify(content));
  const conf = join(folder, "tyk.conf");
  writeFileSync(conf, typeof settings === "string" ? settings : JSON.stringify({ app_path: inside, ...settings }));
  return { conf, apps: inside };
}
