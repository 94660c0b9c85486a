/**
 * A set of listeners for one kind of news of a store.
 * Must not know: the news. A listener that throws does not keep the others from hearing.
 * Runs: on changes of keys and of the store's health, never per call.
 */

export class Emitter<News> {
  readonly #listeners = new Set<(news: News) => void>();

  add(listener: (news: News) => void): () => void {
    // Wrapped, so that adding one function twice needs two removals.
    const entry = (news: News): void => listener(news);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  emit(news: News): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(news);
      } catch (error) {
        // The store's own state is already right: report the defect where defects are reported, after the others heard.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
