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
  /** Made when something is asked: most calls, and all that are refused at once, ask nothing. */
  #answers: Map<string, Answer> | null = null;
  #open: Map<string, () => Promise<unknown>> | null = null;

  /** Undefined: asked now, come back after `settle`. */
  ask(name: string, question: () => Promise<unknown>): Answer | undefined {
    const answer = this.#answers?.get(name);
    if (answer === undefined) {
      this.#open ??= new Map();
      this.#open.set(name, question);
    }
    return answer;
  }

  /** Whether it was answered. */
  has(name: string): boolean {
    return this.#answers?.has(name) === true;
  }

  /** The answer is not true any more. */
  forget(name: string): void {
    this.#answers?.delete(name);
  }

  /** Never rejects. Nearly always there is one question, and a flood asks it for every call. */
  settle(): Promise<unknown> {
    const open = [...(this.#open ?? [])];
    this.#open = null;
    const [only] = open;
    if (open.length === 1 && only !== undefined) return this.#settle(only[0], only[1]);
    return Promise.all(open.map(([name, question]) => this.#settle(name, question)));
  }

  #settle(name: string, question: () => Promise<unknown>): Promise<void> {
    this.#answers ??= new Map();
    const answers = this.#answers;
    const failed = (error: unknown): void => void answers.set(name, { error: error as Error });
    try {
      return question().then((value) => void answers.set(name, { value }), failed);
    } catch (error) {
      failed(error);
      return Promise.resolve();
    }
  }
}
