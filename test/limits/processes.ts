/** Starts worker processes that hammer shared limits, and reads what they admitted, killed ones included. */

import { type ChildProcess, fork } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HammerOrder, HammerReport } from "./hammer.js";

export class Crowd {
  readonly folder = mkdtempSync(join(tmpdir(), "sluice-limits-"));
  readonly #children: ChildProcess[] = [];
  readonly #reports: Promise<HammerReport | undefined>[] = [];

  async add(count: number, order: Omit<HammerOrder, "name" | "log">): Promise<void> {
    const ready: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      const name = `w${this.#children.length}-${process.pid}`;
      const full: HammerOrder = { ...order, name, log: join(this.folder, name) };
      const child = fork(new URL("./hammer.js", import.meta.url), [JSON.stringify(full)]);
      this.#children.push(child);
      ready.push(
        new Promise((resolve, reject) => {
          child.once("message", resolve);
          child.once("exit", (code) => reject(new Error(`worker ended with ${code} before it began`)));
        }),
      );
    }
    await Promise.all(ready);
    for (const child of this.#children) {
      this.#reports.push(
        new Promise((resolve) => {
          child.once("message", (message) => resolve(message as HammerReport));
          child.once("exit", () => resolve(undefined));
        }),
      );
    }
  }

  /** "go", and for paced ones later "stop". */
  tell(): void {
    for (const child of this.#children) if (child.connected) child.send("now");
  }

  kill(index: number): void {
    this.#children[index]?.kill("SIGKILL");
  }

  async reports(): Promise<HammerReport[]> {
    const all = await Promise.all(this.#reports);
    return all.filter((report) => report !== undefined);
  }

  /** One number per admitted call, of all workers. */
  stamps(): number[] {
    const stamps: number[] = [];
    for (const child of this.#children) {
      const order = JSON.parse(child.spawnargs.at(-1) ?? "{}") as HammerOrder;
      if (!existsSync(order.log)) continue;
      const bytes = readFileSync(order.log);
      for (let at = 0; at + 8 <= bytes.length; at += 8) stamps.push(bytes.readDoubleLE(at));
    }
    return stamps.sort((a, b) => a - b);
  }

  /** Resolves when so many calls have been admitted in all. */
  async admitted(count: number): Promise<void> {
    while (this.stamps().length < count) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  end(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
