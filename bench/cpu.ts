/**
 * What a process tree has used: CPU time in nanoseconds and resident memory. Linux only (/proc, see proc(5)).
 * Must not know whose processes they are. Runs a few times per round.
 *
 * The scheduler's own figure (schedstat, nanoseconds) is summed over the living threads; the kernel's clock-tick figure (stat) also
 * holds threads that have ended, but in steps of 10 ms. Both are lower bounds of the same sum, so the larger one is taken.
 */
import { readdirSync, readFileSync } from "node:fs";

const TICK_NS = 10_000_000;
const PAGE_BYTES = 4096;

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

const folder = (path: string): string[] => {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
};

/** The process and everything below it, from the kernel's list of children of each thread. */
export const processTree = (pid: number): number[] => {
  const found = [pid];
  for (const parent of found) {
    for (const task of folder(`/proc/${parent}/task`)) {
      for (const child of read(`/proc/${parent}/task/${task}/children`).split(" "))
        if (child !== "") found.push(Number(child));
    }
  }
  return found;
};

/** Fields 14 and 15 of stat, counted after the command's closing bracket because the command may hold spaces. */
export const statTicks = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
};

const processNs = (pid: number): number => {
  let fine = 0;
  for (const task of folder(`/proc/${pid}/task`))
    fine += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(" ")[0] ?? 0);
  return Math.max(fine, statTicks(read(`/proc/${pid}/stat`)) * TICK_NS);
};

export interface CpuMeter {
  /** CPU nanoseconds of the tree since it began. */
  readNs(): number;
  residentBytes(): number;
}

/** Remembers what each process had used, so that one that ends keeps its share. */
export const cpuMeter = (root: number): CpuMeter => {
  const used = new Map<number, number>();
  return {
    readNs: () => {
      for (const pid of processTree(root)) used.set(pid, Math.max(used.get(pid) ?? 0, processNs(pid)));
      let sum = 0;
      for (const ns of used.values()) sum += ns;
      return sum;
    },
    residentBytes: () => {
      let sum = 0;
      for (const pid of processTree(root)) sum += Number(read(`/proc/${pid}/statm`).split(" ")[1] ?? 0) * PAGE_BYTES;
      return sum;
    },
  };
};
