// Files of definitions and policies, written whole or not at all.
// Responsible for which names may become files. Must not know: what is in them. Runs: per request of an operator.

import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** No separators, no hidden files, no name that the folder's reader would skip. */
export function isFileName(id: string): boolean {
  return /^[A-Za-z0-9_~][A-Za-z0-9._~-]{0,199}$/.test(id) && !/-(oas|mcp)$/.test(id);
}

export function fileOf(folder: string, id: string): string {
  return join(folder, `${id}.json`);
}

/** A reader sees the old file or the new one: a half-written definition would be a closed path. */
export async function writeDocument(file: string, document: unknown, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  // Not `.json`: readers of the folder pass over it.
  const temporary = join(folder, `.${randomBytes(8).toString("hex")}.part`);
  try {
    await writeFile(temporary, `${JSON.stringify(document, null, 2)}\n`, { flag: "wx" });
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}

export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** False when there is none. */
export async function removeDocument(file: string): Promise<boolean> {
  try {
    await rm(file);
    return true;
  } catch {
    return false;
  }
}
