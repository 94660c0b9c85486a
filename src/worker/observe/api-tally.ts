// What is counted of one API's calls: by method, and by what ended them. Bounded: callers choose paths, and must not
// choose how many names there are. A name is kept when a service has answered calls of it; others are candidates that are
// forgotten with every telling, and the primary decides what they are counted as.
// Must not know: plans, messages to the primary. Runs: once per plan; per call only what MethodTally does.

import { type EndFigures, type MethodFigures, OTHER } from "../../shared/observe/figures.js";
import { MethodTally } from "./method-tally.js";

/** As the names of services and methods are written in protobuf, `/package.Service/Method` behind any prefix. */
const LONGEST_PATH = 512;
const GRPC_PATH = /\/([A-Za-z_][\w.]{0,127})\/([A-Za-z_]\w{0,127})$/;
/** Of Origin, in its order. */
const BY = ["service", "network", "gateway", "caller"] as const;

export class ApiTally {
  readonly id: string;
  private readonly methods = new Map<string, MethodTally>();
  private readonly plain: MethodTally;
  private readonly other: MethodTally;
  private readonly ends: readonly Map<string, number>[] = BY.map(() => new Map());

  constructor(id: string) {
    this.id = id;
    this.plain = new MethodTally(this, "", "", true);
    this.other = new MethodTally(this, OTHER, OTHER, true);
  }

  get size(): number {
    return this.methods.size;
  }

  /** @param most names there may be */
  tallyOf(path: string, grpc: boolean, most: number): MethodTally {
    if (!grpc) return this.plain;
    const known = this.methods.get(path);
    if (known !== undefined) return known;
    const parts = this.methods.size < most && path.length <= LONGEST_PATH ? GRPC_PATH.exec(path) : null;
    if (parts === null) return this.other;
    const made = new MethodTally(this, parts[1]!, parts[2]!, false);
    this.methods.set(path, made);
    return made;
  }

  /** The call was not ended by the service's response. Reasons are ids of answers and verdicts: few, and ours. */
  note(origin: number, reason: string): void {
    const counts = this.ends[origin]!;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }

  takeMethods(into: MethodFigures[]): void {
    this.takeOne(this.plain, into);
    this.takeOne(this.other, into);
    for (const [path, tally] of this.methods) {
      this.takeOne(tally, into);
      if (tally.proven) continue;
      tally.gone = true;
      this.methods.delete(path);
    }
  }

  takeEnds(into: EndFigures[]): void {
    for (const [origin, counts] of this.ends.entries()) {
      for (const [reason, count] of counts) into.push({ api: this.id, by: BY[origin]!, reason, count });
      counts.clear();
    }
  }

  /** The configuration names it no more. */
  forget(): void {
    for (const tally of [this.plain, this.other, ...this.methods.values()]) tally.gone = true;
  }

  private takeOne(tally: MethodTally, into: MethodFigures[]): void {
    const { service, method, proven, open } = tally;
    if (!tally.touched && open === 0) return;
    into.push({ api: this.id, service, method, proven, row: tally.take(), open });
    tally.open = 0;
  }
}
