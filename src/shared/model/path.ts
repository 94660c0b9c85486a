// What is done to a path between the caller and the service: cleaning, stripping, joining. All on the bytes as sent:
// nothing is decoded, so a percent-encoded slash stays one segment on both sides.
// Must not know: routes, definitions. Governed by Tyk's proxying (README, paths). Runs: when a decision is made.

/** True when cleanPath would change the path or may: an empty segment or one that begins with a dot. */
export function needsCleaning(path: string): boolean {
  return path.includes("//") || path.includes("/.");
}

/** Removes empty and `.` segments and resolves `..`, never above the root; a slash at the end stays. */
export function cleanPath(path: string): string {
  if (!needsCleaning(path)) return path;
  const kept: string[] = [];
  const segments = path.split("/");
  for (const segment of segments) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") kept.pop();
    else kept.push(segment);
  }
  const last = segments[segments.length - 1];
  const slash = kept.length > 0 && (last === "" || last === "." || last === "..") ? "/" : "";
  return `/${kept.join("/")}${slash}`;
}

/** One slash between the two; the result is never empty. */
export function joinPath(base: string, path: string, keepSlash: boolean): string {
  if (keepSlash && (path === "" || path === "/")) return base === "" ? "/" : base;
  const head = base.replace(/\/+$/, "");
  const tail = path.replace(/^\/+/, "");
  if (tail !== "") return `${head}/${tail}`;
  return head === "" ? "/" : head;
}

export function mergeQuery(ofTarget: string, ofCaller: string): string {
  if (ofTarget === "") return ofCaller;
  return ofCaller === "" ? ofTarget : `${ofTarget}&${ofCaller}`;
}
