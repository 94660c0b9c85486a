// Where a process writes lines: standard output or a file, by pino's own stream, in the background.
// Responsible for bounds: what waits for a reader that has stopped is limited, what is beyond it is dropped and counted, and
// no process stays for its sake. Must not know: what is logged. Runs: per line.

import { pino } from "pino";

/** Several processes write to one pipe: what is longer may be mixed with another's lines. */
const PIPE_WRITE = 4_096;
/** A reader that takes nothing for so long has stopped. */
const STUCK_MS = 1_000;
/** What the end of the process waits for a reader. */
const LAST_MS = 500;

/** Those of this process: its end must know of each. */
const open = new Set<LogOutput>();

export class LogOutput {
  /** Lines that were not written: nobody read, or the disk was full. */
  dropped = 0;
  private readonly destination: ReturnType<typeof pino.destination>;
  /** Since when what waits has not become less; 0 while nothing waits. */
  private waitsSince = 0;
  private drained: (() => void) | null = null;
  /** Lines are waiting. */
  private holds = false;
  /** There is no reader any more, and no other comes. */
  private gone = false;
  private givenUp = false;

  /** @param file empty for standard output  @param most octets that may wait */
  constructor(file: string, most: number) {
    const named = file !== "";
    this.destination = pino.destination({
      dest: named ? file : 1,
      sync: false,
      mkdir: named,
      maxLength: most,
      ...(named ? {} : { maxWrite: PIPE_WRITE }),
    });
    this.destination.on("drop", () => this.dropped++);
    this.destination.on("error", (error: NodeJS.ErrnoException) => this.failed(error));
    this.destination.on("write", () => {
      this.waitsSince = performance.now();
    });
    this.destination.on("drain", () => this.settled());
    if (named) {
      // A pipe that nobody has opened to read is as stuck as one that nobody reads.
      this.waitsSince = performance.now();
      this.destination.once("ready", () => {
        if (!this.holds) this.settled();
      });
    }
    this.forgiveAtExit();
    this.destination.on("close", () => open.delete(this));
    open.add(this);
  }

  write(line: string): void {
    if (this.gone) {
      this.dropped++;
      return;
    }
    this.holds = true;
    if (this.waitsSince === 0) this.waitsSince = performance.now();
    this.destination.write(line);
  }

  get stuck(): boolean {
    return this.waitsSince !== 0 && (this.givenUp || performance.now() - this.waitsSince > STUCK_MS);
  }

  /** Resolves when all has been written, or after so long; a reader that took nothing in that time has stopped. */
  async written(withinMs: number): Promise<void> {
    if (this.waitsSince === 0 || this.stuck) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, withinMs);
      this.drained = () => {
        clearTimeout(late);
        resolve();
      };
    });
    this.drained = null;
    // Timers may be a little early.
    this.givenUp = this.waitsSince !== 0 && performance.now() - this.waitsSince > withinMs / 2;
  }

  /** What waits is still written, when its time comes. Standard output itself stays open. */
  end(): void {
    this.destination.end();
  }

  /** A full disk, or a reader that is gone: the process goes on. What waits is tried again with the next line. */
  private failed({ code }: NodeJS.ErrnoException): void {
    this.dropped++;
    this.gone = code === "EPIPE";
    this.settled();
  }

  private settled(): void {
    this.holds = false;
    this.waitsSince = 0;
    this.drained?.();
  }

  /** The stream is flushed by its maker when the process exits, and throws there if its file could not be opened. */
  private forgiveAtExit(): void {
    const { destination } = this;
    const flush = destination.flushSync.bind(destination);
    destination.flushSync = () => {
      try {
        flush();
      } catch {
        // There is nobody left to tell.
      }
    };
  }
}

/** Ends the process, with the next turns of its loop. What waits is written before that, where somebody reads: slowly, by `exit`. */
export async function leave(code: number): Promise<void> {
  await Promise.all([...open].map((output) => output.written(LAST_MS)));
  // A thread of the runtime is in the middle of writing and cannot be called back: every other way to end waits for it.
  for (const output of open) if (output.stuck) process.kill(process.pid, "SIGKILL");
  process.exit(code);
}
