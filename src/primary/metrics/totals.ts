// What all workers have counted since the gateway began: increments added up, so that a worker's end takes nothing away.
// Responsible for the sums and for the bound on names. Must not know: workers, text formats, where figures come from.
// Runs: per collection.

import {
  type EndFigures,
  type Figures,
  type MethodFigures,
  OTHER,
  Row,
  type Sample,
} from "../../shared/observe/figures.js";

/** All APIs together; each is some sixty lines of text. */
const MOST_METHODS = 20_000;
/** Sums beside the calls: their labels are ours, or an operator's. */
const MOST_SUMS = 20_000;

export interface MethodTotals {
  readonly api: string;
  readonly service: string;
  readonly method: string;
  readonly row: Float64Array;
}

interface ApiTotals {
  readonly methods: Map<string, MethodTotals>;
  readonly ends: Map<string, EndFigures & { count: number }>;
}

export class Totals {
  /** Names of methods of one API. */
  most: number;
  readonly #apis = new Map<string, ApiTotals>();
  readonly #sums = new Map<string, { sample: Sample; total: number }>();
  #methods = 0;

  constructor(most: number) {
    this.most = most;
  }

  get methods(): MethodTotals[] {
    return [...this.#apis.values()].flatMap(({ methods }) => [...methods.values()]);
  }

  get ends(): EndFigures[] {
    return [...this.#apis.values()].flatMap(({ ends }) => [...ends.values()]);
  }

  get sums(): Sample[] {
    return [...this.#sums.values()].map(({ sample, total }) => ({ ...sample, value: total }));
  }

  /** @param isSum which samples are increments */
  add({ methods, ends, samples }: Figures, isSum: (name: string) => boolean): void {
    for (const each of methods) this.#addMethod(each);
    for (const each of ends) this.#addEnd(each);
    for (const each of samples) if (isSum(each.name)) this.#addSum(each);
  }

  /** APIs that are no longer served: what was counted of them is told no more. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const [id, { methods }] of this.#apis) {
      if (ids.has(id)) continue;
      this.#methods -= methods.size;
      this.#apis.delete(id);
    }
  }

  /** The name that calls of a method go by: its own when it is known, or proven and there is room. */
  nameOf({ api, service, method, proven }: MethodFigures): { service: string; method: string } {
    const { methods } = this.#api(api);
    if (methods.has(keyOf(service, method)) || isOurs(service, method)) return { service, method };
    const ours = [keyOf("", ""), keyOf(OTHER, OTHER)].filter((key) => methods.has(key)).length;
    const room = methods.size - ours < this.most && this.#methods < MOST_METHODS;
    return proven && room ? { service, method } : { service: OTHER, method: OTHER };
  }

  #addMethod(figures: MethodFigures): void {
    if (figures.row.every((n) => n === 0)) return;
    const { service, method } = this.nameOf(figures);
    const { methods } = this.#api(figures.api);
    const key = keyOf(service, method);
    let totals = methods.get(key);
    if (totals === undefined) {
      totals = { api: figures.api, service, method, row: new Float64Array(Row.SIZE) };
      methods.set(key, totals);
      this.#methods += 1;
    }
    for (let at = 0; at < Row.SIZE; at += 1) totals.row[at]! += figures.row[at] ?? 0;
  }

  #addEnd({ api, by, reason, count }: EndFigures): void {
    const { ends } = this.#api(api);
    const known = ends.get(`${by} ${reason}`);
    if (known === undefined) ends.set(`${by} ${reason}`, { api, by, reason, count });
    else known.count += count;
  }

  #addSum(sample: Sample): void {
    const key = `${sample.name} ${JSON.stringify(sample.labels)}`;
    const known = this.#sums.get(key);
    if (known !== undefined) known.total += sample.value;
    else if (this.#sums.size < MOST_SUMS) this.#sums.set(key, { sample, total: sample.value });
  }

  #api(id: string): ApiTotals {
    let api = this.#apis.get(id);
    if (api === undefined) {
      api = { methods: new Map(), ends: new Map() };
      this.#apis.set(id, api);
    }
    return api;
  }
}

/** Names that no caller has chosen: of all the others, and of calls that are not gRPC. */
function isOurs(service: string, method: string): boolean {
  return service === "" || (service === OTHER && method === OTHER);
}

function keyOf(service: string, method: string): string {
  return `${service}/${method}`;
}
