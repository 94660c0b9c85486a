// Files that hold keys and that every user of the host can read.
// Responsible for which files those are and for the warning. Must not know: what is in them, processes.
// A group may be meant, as for a certificate that several services share; everybody is not. Runs: at start, in lint.

import { statSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "../shared/config.js";
import type { ApiDefinition } from "../shared/model/api-definition.js";
import { jsonPath, type Problem } from "../shared/model/problem.js";
import { DURABLE } from "../shared/store/folders.js";

const READ_BY_OTHERS = 0o004;
/** Whoever may not enter a folder reads nothing in it. */
const ENTERED_BY_OTHERS = 0o001;

/** A name of a file, a PEM text or the id of a certificate in the store. */
interface Reference {
  readonly file: string;
  readonly path: readonly PropertyKey[];
  readonly written: string;
}

export function openToOthers(settings: Settings, definitions: readonly ApiDefinition[], file: string): Problem[] {
  const told = new Set<string>();
  const problems: Problem[] = [];
  for (const { file: of, path, written } of keyFiles(settings, definitions, file)) {
    if (told.has(written) || (modeOf(written) & READ_BY_OTHERS) === 0) continue;
    told.add(written);
    problems.push(
      warning(of, path, `${written} holds a private key and every user of this host can read it: chmod o-r`),
    );
  }
  const { type, path } = settings.storage;
  const entered = [path, join(path, DURABLE)].every((folder) => (modeOf(folder) & ENTERED_BY_OTHERS) !== 0);
  if (type === "embedded" && entered) {
    const message = `every user of this host can read the keys in ${path}: chmod -R o-rwx`;
    problems.push(warning(file, ["storage", "path"], message));
  }
  return problems;
}

function keyFiles(settings: Settings, definitions: readonly ApiDefinition[], file: string): Reference[] {
  const { http_server_options: front, security, storage } = settings;
  const found: Reference[] = [];
  const add = (of: string, path: readonly PropertyKey[], written: string): void => {
    if (written !== "" && !written.includes("-----BEGIN")) found.push({ file: of, path, written });
  };
  front.ssl_certificates.forEach((written, at) => {
    add(file, ["http_server_options", "ssl_certificates", at], written);
  });
  front.certificates.forEach(({ key_file }, at) => {
    add(file, ["http_server_options", "certificates", at, "key_file"], key_file);
  });
  for (const [host, written] of Object.entries(security.certificates.upstream))
    add(file, ["security", "certificates", "upstream", host], written);
  if (storage.type === "redis") add(file, ["storage", "key_file"], storage.key_file);
  for (const api of definitions) {
    api.certificates.forEach((written, at) => {
      add(api.file, ["certificates", at], written);
    });
    for (const [host, written] of Object.entries(api.upstream_certificates))
      add(api.file, ["upstream_certificates", host], written);
  }
  return found;
}

/** 0 for what is not there: an id of the store, a folder that is yet to be made. */
function modeOf(name: string): number {
  try {
    return statSync(name).mode;
  } catch {
    return 0;
  }
}

function warning(file: string, path: readonly PropertyKey[], message: string): Problem {
  return { level: "warning", file, path: jsonPath(path), found: "", message, api: "" };
}
