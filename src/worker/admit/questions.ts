/**
 * What one call had to ask asynchronously, and the answers it got.
 * Must not know: what is asked. Runs: only for calls that could not be decided at once.
 *
 * An evaluation is run again after each round of answers; what it asked before is answered from here, so that also an
 * answer that no cache may keep (a password with caching off, trouble of the store) ends the call.
 */

export interface Answer {
  readonly value?: unknown;
  readonly error?: Error;
}

export class Questions {
  readonly #answers = new Map<string, Answer>();
  readonly #open = new Map<string, () => Promise<unknown>>();

  /** Undefined: asked now, come back after `settle`. */
  ask(name: string, question: () => Promise<unknown>): Answer | undefined {
    const answer = this.#answers.get(name);
    if (answer === undefined) this.#open.set(name, question);
    return answer;
  }

  /** Whether it was answered. */
  has(name: string): boolean {
    return this.#answers.has(name);
  }

  /** The answer is not true any more. */
  forget(name: string): void {
    this.#answers.delete(name);
  }

  async settle(): Promise<void> {
    const open = [...this.#open];
    this.#open.clear();
    await Promise.all(
      open.map(async ([name, question]) => {
        try {
          this.#answers.set(name, { value: await question() });
        } catch (error) {
          this.#answers.set(name, { error: error as Error });
        }
      }),
    );
  }
}
