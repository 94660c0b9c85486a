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

  /** Never rejects. Nearly always there is one question, and a flood asks it for every call. */
  settle(): Promise<unknown> {
    const open = [...this.#open];
    this.#open.clear();
    const [only] = open;
    if (open.length === 1 && only !== undefined) return this.#settle(only[0], only[1]);
    return Promise.all(open.map(([name, question]) => this.#settle(name, question)));
  }

  #settle(name: string, question: () => Promise<unknown>): Promise<void> {
    const failed = (error: unknown): void => void this.#answers.set(name, { error: error as Error });
    try {
      return question().then((value) => void this.#answers.set(name, { value }), failed);
    } catch (error) {
      failed(error);
      return Promise.resolve();
    }
  }
}
