// Responsible for: what a gateway's /metrics says, read by a parser that is not ours. Must not know: what is expected.
// How often: tests only.

import { createRequire } from "node:module";

interface Parsed {
  readonly name: string;
  readonly type: string;
  readonly metrics: readonly {
    readonly value?: string;
    readonly labels?: Record<string, string>;
  }[];
}

const parse = createRequire(import.meta.url)("parse-prometheus-text-format") as
  | ((text: string) => Parsed[])
  | { default: (text: string) => Parsed[] };

export class Scrape {
  readonly families: readonly Parsed[];

  constructor(readonly text: string) {
    this.families = (typeof parse === "function" ? parse : parse.default)(text);
  }

  static async of(port: number, path = "/metrics", headers: Record<string, string> = {}): Promise<Scrape> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return new Scrape(await answer.text());
  }

  family(name: string): Parsed | undefined {
    return this.families.find((family) => family.name === name);
  }

  /** The sum of all values whose labels include these. */
  sum(name: string, labels: Record<string, string> = {}): number {
    return this.matching(name, labels).reduce((sum, each) => sum + Number(each.value), 0);
  }

  /** By the value of a label, of all whose labels include these. */
  by(label: string, name: string, labels: Record<string, string> = {}): Record<string, number> {
    const found: Record<string, number> = {};
    for (const each of this.matching(name, labels)) {
      const key = each.labels?.[label] ?? "";
      found[key] = (found[key] ?? 0) + Number(each.value);
    }
    return found;
  }

  /** The values of all lines of a histogram, in their order: the parser makes one of all its labels. */
  lines(name: string, labels: string): number[] {
    const rows = this.text.split("\n").filter((line) => line.startsWith(`${name}{`) && line.includes(labels));
    return rows.map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
  }

  matching(name: string, labels: Record<string, string>) {
    const rows = this.family(name)?.metrics ?? [];
    return rows.filter((each) => Object.entries(labels).every(([key, value]) => each.labels?.[key] === value));
  }
}
