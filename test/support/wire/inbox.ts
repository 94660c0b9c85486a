// Responsible for: what a peer has received and nobody has looked at yet, and waiting for more with a bound.
// Must not know: sockets, frames' meaning. How often: tests only.

import type { Frame } from "./frame.js";
import type { DecodedField } from "./hpack.js";

/** A frame as received. A HEADERS frame comes with its CONTINUATION frames joined and its fields decoded. */
export interface Received extends Frame {
  readonly fields?: DecodedField[];
}

/**
 * How a connection ends: "end" is FIN after everything before it; "cut" is FIN too, but what we went on sending was
 * answered by RST (a runtime that reads on would still find the FIN); "torn" is RST alone, or bytes that are no HTTP/2.
 */
export type Ending = "end" | "cut" | "torn";

/** Long, because it passes only when a test fails: nothing is measured by it. */
export const PATIENCE = 30_000;

export class Inbox {
  private readonly waiting: Received[] = [];
  private readonly sleepers = new Set<() => void>();
  ending: Ending | undefined;

  put(it: Received): void {
    this.waiting.push(it);
    this.wakeAll();
  }

  end(how: Ending): void {
    this.ending ??= how;
    this.wakeAll();
  }

  /** First frame that fits, taken out of the inbox; others stay. The ending when none can come; "silence" when late. */
  async take(fits: (it: Received) => boolean, patience = PATIENCE): Promise<Received | Ending | "silence"> {
    const limit = Date.now() + patience;
    for (;;) {
      const at = this.waiting.findIndex(fits);
      if (at >= 0) return this.waiting.splice(at, 1)[0]!;
      if (this.ending) return this.ending;
      if (!(await this.news(limit - Date.now()))) return "silence";
    }
  }

  /** Everything received and not taken. */
  drain(): Received[] {
    return this.waiting.splice(0);
  }

  private wakeAll(): void {
    const woken = [...this.sleepers];
    this.sleepers.clear();
    for (const wake of woken) wake();
  }

  private news(patience: number): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(
        () => {
          this.sleepers.delete(wake);
          resolve(false);
        },
        Math.max(0, patience),
      );
      this.sleepers.add(wake);
    });
  }
}
