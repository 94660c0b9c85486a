// The package's version. Responsible for finding package.json above the compiled file, wherever that was put.
// Runs: once.

import { readFileSync } from "node:fs";

export function packageVersion(): string {
  for (let folder = new URL(".", import.meta.url); ; folder = new URL("..", folder)) {
    const found = versionIn(new URL("package.json", folder));
    if (found !== undefined) return found;
    if (folder.pathname === "/") return "unknown";
  }
}

function versionIn(file: URL): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(file, "utf8")) as { name?: unknown; version?: unknown };
    return name === "sluice" && typeof version === "string" ? version : undefined;
  } catch {
    // Not here: the next folder up.
    return undefined;
  }
}
