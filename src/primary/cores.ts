// How many workers this process should have when nobody says.
// Responsible for: the cores the process may use, by affinity and by the cgroup's CPU quota (versions 1 and 2).
// Must not know: settings, workers. Governed by: Linux cgroup interface files. Runs: once.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const CGROUP_ROOT = "/sys/fs/cgroup";
const OWN_GROUPS = "/proc/self/cgroup";

/** Whole cores, at least 1: two workers on one and a half cores would only be stopped by the kernel in turns. */
export function usableCores(): number {
  const quota = cgroupQuota(readText(OWN_GROUPS), (path) => readText(join(CGROUP_ROOT, path)));
  return Math.max(1, Math.floor(Math.min(availableParallelism(), quota)));
}

/**
 * The smallest quota, in cores, on the way from the process's own group to the root; infinite without one.
 * Inside a container the host's part of the path may not exist: the walk ends at the root, which then holds the limit.
 */
export function cgroupQuota(ownGroups: string, read: (path: string) => string): number {
  let quota = Number.POSITIVE_INFINITY;
  for (const line of ownGroups.split("\n")) {
    const [, controllers, ...rest] = line.split(":");
    if (controllers === undefined) continue;
    const group = rest.join(":");
    if (controllers === "") {
      for (const path of ancestors(group)) {
        quota = Math.min(quota, quotaOfVersion2(read(join(path, "cpu.max"))));
      }
    } else if (controllers.split(",").includes("cpu")) {
      for (const path of ancestors(group)) {
        const folder = join(controllers, path);
        const us = read(join(folder, "cpu.cfs_quota_us"));
        quota = Math.min(quota, coresOf(us, read(join(folder, "cpu.cfs_period_us"))));
      }
    }
  }
  return quota;
}

function ancestors(group: string): string[] {
  const paths = ["/"];
  for (const part of group.split("/")) {
    if (part !== "" && part !== "..") paths.push(join(paths[paths.length - 1]!, part));
  }
  return paths;
}

// "200000 100000" is two cores, "max 100000" is no limit.
function quotaOfVersion2(text: string): number {
  const [quota = "", period = ""] = text.trim().split(" ");
  return coresOf(quota, period);
}

function coresOf(quota: string, period: string): number {
  const cores = Number.parseInt(quota, 10) / Number.parseInt(period, 10);
  // -1 (version 1), "max" (version 2) and missing files all mean that there is no limit at this level.
  return cores > 0 ? cores : Number.POSITIVE_INFINITY;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
