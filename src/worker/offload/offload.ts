// The thread pool of a worker: what would hold up the event loop is done there, one job per thread at a time.
// Responsible for the queue and its bound, time limits, cancellation, counting, and for jobs whose thread dies.
// Must not know: what a job does, who asks. The queue is ours and not piscina's: a job that was not begun is taken out
// without harm, while aborting one that piscina holds may end a thread under another job.
// Runs: once per job that is worth a hop of 20 to 30 µs.

import { Piscina } from "piscina";
import type { PasswordCheck } from "../../shared/keys/password.js";
import { type Job, type Jobs, type Kind, type Results, runJob } from "./jobs.js";
import type { Done } from "./thread.js";
import { isSmall } from "./thresholds.js";

export type OffloadFailure = "full" | "timeout" | "cancelled" | "broken" | "closed";

/** A job that has no result. `full` is RESOURCE_EXHAUSTED for a call, `cancelled` nobody's concern, the rest UNAVAILABLE. */
export class OffloadError extends Error {
  override readonly name = "OffloadError";
  readonly failure: OffloadFailure;

  constructor(failure: OffloadFailure, detail = "") {
    super(`a job of the thread pool has no result: ${failure}${detail === "" ? "" : ` (${detail})`}`);
    this.failure = failure;
  }
}

export interface OffloadOptions {
  readonly threads: number;
  /** Jobs that wait, beside those that run. */
  readonly maxQueue?: number;
  /** Ms from asking to the answer. */
  readonly timeout?: number;
  /** What threads run; another file in tests. */
  readonly threadFile?: string;
}

/** Read out by whoever shows metrics. Times are sums in microseconds. */
export interface OffloadCounts {
  inline: number;
  done: number;
  waited: number;
  ran: number;
  longestWait: number;
  readonly failed: Record<OffloadFailure, number>;
  readonly byKind: Partial<Record<Kind, number>>;
}

const MAX_QUEUE = 1_024;
/** A full queue of passwords, some 80 ms each, on one thread that has a core for itself is done after 82 seconds. */
const TIMEOUT = 120_000;

interface Waiting {
  readonly job: Job;
  readonly asked: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly signal: AbortSignal | undefined;
  readonly cancel: () => void;
  timer: NodeJS.Timeout | undefined;
  /** Ends the thread that runs it; null while it waits. */
  running: AbortController | null;
  settled: boolean;
  /** It was in the queue when its caller went, and still is. */
  cancelled: boolean;
}

export class Offload implements PasswordCheck {
  readonly counts: OffloadCounts = {
    inline: 0,
    done: 0,
    waited: 0,
    ran: 0,
    longestWait: 0,
    failed: { full: 0, timeout: 0, cancelled: 0, broken: 0, closed: 0 },
    byKind: {},
  };
  readonly #pool: Piscina<Job, Done>;
  readonly #maxQueue: number;
  readonly #timeout: number;
  /** One more than threads, so that none waits for the loop between two jobs. */
  readonly #width: number;
  #queue: Waiting[] = [];
  #head = 0;
  /** Among those in the queue: cancelled, and of no weight. */
  #cancelled = 0;
  #running = 0;
  #closed = false;

  constructor(options: OffloadOptions) {
    const { threads, maxQueue = MAX_QUEUE, timeout = TIMEOUT, threadFile } = options;
    this.#maxQueue = maxQueue;
    this.#timeout = timeout;
    this.#width = threads + 1;
    this.#pool = new Piscina<Job, Done>({
      filename: threadFile ?? new URL("./thread.js", import.meta.url).href,
      // Its defaults count the cores of the machine, in each worker anew.
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 1,
      maxQueue: this.#width,
      recordTiming: false,
    });
    // A thread that cannot start is told by the jobs that fail with it.
    this.#pool.on("error", () => {});
  }

  /** Jobs that wait for a thread. */
  get waiting(): number {
    return this.#queue.length - this.#head - this.#cancelled;
  }

  /** Jobs that were given to threads and are not done. */
  get running(): number {
    return this.#running;
  }

  verifyBcrypt(password: string, hash: string, signal?: AbortSignal): Promise<boolean> {
    return this.run("verifyBcrypt", { password, hash }, signal);
  }

  hashBcrypt(password: string, cost = 10, signal?: AbortSignal): Promise<string> {
    return this.run("hashBcrypt", { password, cost }, signal);
  }

  /** Small jobs are done before this returns. Rejects with an OffloadError, or with what the job itself throws. */
  run<K extends Kind>(kind: K, it: Jobs[K], signal?: AbortSignal): Promise<Results[K]> {
    const job = { kind, with: it } as Job;
    this.counts.byKind[kind] = (this.counts.byKind[kind] ?? 0) + 1;
    if (isSmall(job)) {
      this.counts.inline++;
      return Promise.resolve(runJob(kind, it));
    }
    if (this.#closed) return Promise.reject(this.#failed("closed"));
    if (signal?.aborted === true) return Promise.reject(this.#failed("cancelled"));
    if (this.waiting >= this.#maxQueue) return Promise.reject(this.#failed("full"));
    return new Promise<unknown>((resolve, reject) => {
      const waiting: Waiting = {
        job,
        asked: performance.now(),
        resolve,
        reject,
        signal,
        cancel: () => this.#cancel(waiting),
        timer: undefined,
        running: null,
        settled: false,
        cancelled: false,
      };
      waiting.timer = setTimeout(() => this.#overdue(waiting), this.#timeout).unref();
      signal?.addEventListener("abort", waiting.cancel, { once: true });
      this.#queue.push(waiting);
      this.#begin();
    }) as Promise<Results[K]>;
  }

  #begin(): void {
    while (this.#running < this.#width && this.#head < this.#queue.length) {
      const next = this.#queue[this.#head]!;
      this.#queue[this.#head++] = undefined as never;
      if (this.#head > 256 && this.#head * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
      if (next.cancelled) this.#cancelled--;
      if (!next.settled) void this.#give(next);
    }
  }

  async #give(next: Waiting): Promise<void> {
    this.#running++;
    next.running = new AbortController();
    try {
      const { value, took } = await this.#pool.run(next.job, { signal: next.running.signal });
      this.#count(next, took);
      this.#settle(next, () => next.resolve(value));
    } catch (error) {
      // What a job throws comes as it is; everything else means that its thread is gone.
      const own = error instanceof Error && error.name !== "AbortError" && !isOfThread(error);
      this.#settle(next, () => next.reject(own ? error : this.#failed("broken", String(error))));
    } finally {
      this.#running--;
      this.#begin();
    }
  }

  #count(of: Waiting, took: number): void {
    const waited = Math.max(0, (performance.now() - of.asked) * 1_000 - took);
    this.counts.done++;
    this.counts.ran += took;
    this.counts.waited += Math.round(waited);
    this.counts.longestWait = Math.max(this.counts.longestWait, Math.round(waited));
  }

  /** What runs too long runs away: its thread is ended, and piscina starts another. */
  #overdue(of: Waiting): void {
    this.#settle(of, () => of.reject(this.#failed("timeout")));
    of.running?.abort();
  }

  /** Nobody wants the result; a job under way is let finish, for ending its thread costs more. */
  #cancel(of: Waiting): void {
    if (of.running === null && !of.settled) {
      of.cancelled = true;
      this.#cancelled++;
    }
    this.#settle(of, () => of.reject(this.#failed("cancelled")));
    if (this.#cancelled > this.#maxQueue) this.#tidy();
  }

  /** Those that cancel as fast as they ask must not make the queue longer than it may be twice over. */
  #tidy(): void {
    this.#queue = this.#queue.slice(this.#head).filter(({ cancelled }) => !cancelled);
    this.#head = 0;
    this.#cancelled = 0;
  }

  #settle(of: Waiting, how: () => void): void {
    if (of.settled) return;
    of.settled = true;
    clearTimeout(of.timer);
    // The call may go on for hours after its job.
    of.signal?.removeEventListener("abort", of.cancel);
    how();
  }

  #failed(failure: OffloadFailure, detail = ""): OffloadError {
    this.counts.failed[failure]++;
    return new OffloadError(failure, detail);
  }

  /** Waiting jobs fail, threads end. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const of of this.#queue.slice(this.#head)) this.#settle(of, () => of.reject(this.#failed("closed")));
    this.#queue = [];
    this.#head = 0;
    this.#cancelled = 0;
    await this.#pool.destroy();
  }
}

function isOfThread(error: Error): boolean {
  return /worker|thread|terminat/i.test(error.message) && (error.stack ?? "").includes("piscina");
}

/** Usable cores shared among the workers of the host, at least one thread each. */
export function threadsPerWorker(cores: number, workers: number): number {
  return Math.max(1, Math.floor(cores / Math.max(1, workers)));
}
