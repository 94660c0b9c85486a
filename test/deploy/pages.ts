// Responsible for: the pages of docs/ taken apart into what can be checked: fenced blocks, links, quoted names.
// Must not know: what is right. A fence's info string says what its block is: `sh tested`, `json settings`,
// `json definition`, `json policy`, `json key`; everything else is only shown. Runs: tests only.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export interface Fence {
  readonly info: string;
  readonly text: string;
}

export interface Page {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  readonly fences: readonly Fence[];
}

export function pages(): readonly Page[] {
  const docs = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  return ["README.md", "deploy/kubernetes/README.md", ...docs.sort().map((name) => `docs/${name}`)].map(pageOf);
}

export function pageOf(path: string): Page {
  const text = readFileSync(join(ROOT, path), "utf8");
  const fences = [...text.matchAll(/^```([^\n`]*)\n([\s\S]*?)^```$/gm)].map(([, info = "", body = ""]) => ({
    info: info.trim(),
    text: body,
  }));
  return { path, text, fences };
}

/** Targets of links within the repository, without what they point to inside a page. */
export function linksOf({ text }: Page): readonly string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target.replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));
}

/** What stands in backticks, outside of fenced blocks. */
export function quotedIn({ text }: Page): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, quoted = ""]) => quoted);
}
