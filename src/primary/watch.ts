// Watching the files that a reload reads (`watch_files`).
// Responsible for noticing that something may have changed. Must not know: what is in the files, what a reload does.
// Folders are watched, not files: editors and orchestrators replace a file, and a watch on the old one sees nothing.
// Runs: once per change in a folder; what hangs on it gathers.

import { type FSWatcher, watch } from "node:fs";
import { dirname, resolve } from "node:path";

export class FileWatch {
  readonly #changed: () => void;
  readonly #failed: (folder: string, error: unknown) => void;
  readonly #watchers = new Map<string, FSWatcher>();

  constructor(changed: () => void, failed: (folder: string, error: unknown) => void) {
    this.#changed = changed;
    this.#failed = failed;
  }

  /** These and no others from now on. */
  set(folders: readonly string[]): void {
    const wanted = new Set(folders.filter((folder) => folder !== "").map((folder) => resolve(folder)));
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#watch(folder);
  }

  close(): void {
    this.set([]);
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#changed());
      watcher.on("error", (error) => {
        watcher.close();
        this.#watchers.delete(folder);
        this.#failed(folder, error);
      });
      this.#watchers.set(folder, watcher);
    } catch (error) {
      this.#failed(folder, error);
    }
  }
}

/** The folder of a file that may not be named. */
export function folderOf(file: string | undefined): string {
  return file === undefined || file === "" ? "" : dirname(file);
}
