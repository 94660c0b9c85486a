// Which of several entries with one listen path an authority belongs to: an exact domain, then a wildcard of one
// label, then patterns in their order, then the one for every host.
// Must not know: paths, ports, what an entry is for. Runs: once per node of a path's walk.

export interface Ranked {
  /** Position in the table's order; the lowest that matches wins. */
  readonly rank: number;
}

/** Longer ones are no host names (RFC 1035, 2.3.4), and a pattern is not to be tried on them. */
const HOST_MAX = 255;

export class Hosts<T extends Ranked> {
  readonly #exact = new Map<string, T>();
  readonly #wildcard = new Map<string, T>();
  readonly #patterns: { readonly pattern: RegExp; readonly entry: T }[] = [];
  #any: T | null = null;

  addExact(host: string, entry: T): void {
    if (!this.#exact.has(host)) this.#exact.set(host, entry);
  }

  /** `suffix` is what follows the first label, `example.com` for `*.example.com`. */
  addWildcard(suffix: string, entry: T): void {
    if (!this.#wildcard.has(suffix)) this.#wildcard.set(suffix, entry);
  }

  addPattern(pattern: RegExp, entry: T): void {
    this.#patterns.push({ pattern, entry });
  }

  addAny(entry: T): void {
    this.#any ??= entry;
  }

  find(host: string): T | null {
    let best = lower(this.#exact.get(host), this.#any);
    if (this.#wildcard.size > 0) {
      const dot = host.indexOf(".");
      if (dot > 0) best = lower(this.#wildcard.get(host.slice(dot + 1)), best);
    }
    if (this.#patterns.length === 0 || host.length > HOST_MAX) return best;
    for (const { pattern, entry } of this.#patterns) {
      if (best !== null && best.rank < entry.rank) continue;
      if (pattern.test(host)) best = entry;
    }
    return best;
  }
}

export function lower<T extends Ranked>(a: T | undefined | null, b: T | null): T | null {
  if (a === undefined || a === null) return b;
  return b === null || a.rank < b.rank ? a : b;
}

/** Lower case, without the port and without the dot of a fully qualified name. */
export function hostOf(authority: string): string {
  const end = authority.startsWith("[") ? authority.indexOf("]") + 1 : authority.indexOf(":");
  const host = (end > 0 ? authority.slice(0, end) : authority).toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
