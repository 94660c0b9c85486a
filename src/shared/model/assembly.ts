// All definitions of a folder judged together: who gets an id, a path and a port when two want the same.
// Responsible for what is finally served, what is left out with its reason, and which ports are needed.
// The first in the order of files keeps what it has. Must not know: files' contents, sockets. Runs: at load.

import type { Settings } from "../config.js";
import type { ApiDefinition, ClosedPath, ListenProtocol } from "./api-definition.js";
import type { Judgement } from "./definition.js";
import { mainProtocol } from "./ports.js";
import type { Problem } from "./problem.js";

/** A port that must be opened; an empty address means every one. */
export interface ListenPort {
  readonly port: number;
  readonly address: string;
  readonly protocol: ListenProtocol;
  readonly main: boolean;
}

export interface LeftOut {
  /** Its name, its api_id or its file. */
  readonly name: string;
  readonly api_id: string;
  readonly file: string;
  readonly reason: string;
}

export interface Assembly {
  readonly definitions: readonly ApiDefinition[];
  readonly closed: readonly ClosedPath[];
  readonly left_out: readonly LeftOut[];
  readonly ports: readonly ListenPort[];
  readonly problems: readonly Problem[];
}

export function assemble(judgements: readonly Judgement[], settings: Settings): Assembly {
  const assembler = new Assembler(settings, contested(judgements));
  for (const judgement of judgements) assembler.add(judgement);
  return assembler.result();
}

/**
 * Paths that several definitions want which ask callers for different things. Which of them came first, by the names of
 * files, must not decide whether a path is open: nobody gets it. Of a broken definition nobody knows what it asks for.
 */
function contested(judgements: readonly Judgement[]): ReadonlyMap<string, readonly Judgement[]> {
  const places = new Map<string, Judgement[]>();
  for (const judgement of judgements) {
    if (!judgement.active || judgement.place === undefined) continue;
    const key = keyOf(judgement.place, judgement.place.listen_path);
    const there = places.get(key);
    if (there === undefined) places.set(key, [judgement]);
    else there.push(judgement);
  }
  for (const [key, there] of places) if (new Set(there.map(asked)).size === 1) places.delete(key);
  return places;
}

/** What callers must have, as far as it can be compared. */
function asked({ definition }: Judgement): string {
  if (definition === undefined) return "unknown";
  return `${definition.use_keyless ? "nothing" : "a key"}${definition.use_mutual_tls_auth ? " and a certificate" : ""}`;
}

function keyOf({ port, domain }: ClosedPath, path: string): string {
  return `${port} ${domain} ${path}`;
}

class Assembler {
  readonly #settings: Settings;
  readonly #contested: ReadonlyMap<string, readonly Judgement[]>;
  readonly #definitions: ApiDefinition[] = [];
  readonly #closed: ClosedPath[] = [];
  readonly #leftOut: LeftOut[] = [];
  readonly #problems: Problem[] = [];
  readonly #ids = new Map<string, string>();
  readonly #places = new Map<string, string>();
  readonly #protocols: Map<number, ListenProtocol>;

  constructor(settings: Settings, contested: ReadonlyMap<string, readonly Judgement[]>) {
    this.#settings = settings;
    this.#contested = contested;
    this.#protocols = new Map([[settings.listen_port, mainProtocol(settings)]]);
  }

  add(judgement: Judgement): void {
    const own = [...judgement.problems];
    if (!judgement.active) {
      this.#problems.push(...own);
      return;
    }
    this.#conflicts(judgement, own);
    const isFirst = this.#contests(judgement, own);
    const refusal = own.find((problem) => problem.level === "error");
    // After the search: a moved one is served, but not where it says, so that is an error and no refusal.
    const path =
      isFirst === undefined ? this.#claim(judgement, own) : isFirst ? judgement.place?.listen_path : undefined;
    this.#problems.push(...own);
    const { definition } = judgement;
    if (refusal === undefined && definition !== undefined && path !== undefined) {
      this.#protocols.set(definition.port, definition.protocol);
      this.#definitions.push({ ...definition, proxy: { ...definition.proxy, listen_path: path } });
    } else if (refusal !== undefined) this.#leaveOut(judgement, refusal, path);
  }

  result(): Assembly {
    const { listen_address: address, listen_port } = this.#settings;
    const ports = [...this.#protocols].map(([port, protocol]) => ({
      port,
      address,
      protocol,
      main: port === listen_port,
    }));
    ports.sort((a, b) => Number(b.main) - Number(a.main) || a.port - b.port);
    return {
      definitions: this.#definitions,
      closed: this.#closed,
      left_out: this.#leftOut,
      ports,
      problems: this.#problems,
    };
  }

  #conflicts(judgement: Judgement, problems: Problem[]): void {
    const holder = this.#ids.get(judgement.api_id);
    if (judgement.api_id === "") return;
    if (holder === undefined) this.#ids.set(judgement.api_id, judgement.file);
    else problems.push(error(judgement, "$.api_id", judgement.api_id, `is taken already by ${holder}`));
    const { definition } = judgement;
    const protocol = definition === undefined ? undefined : this.#protocols.get(definition.port);
    if (definition === undefined || protocol === undefined || protocol === definition.protocol) return;
    const rule = `must be "${protocol}" on port ${definition.port}: a port has one protocol, the first definition's`;
    problems.push(error(judgement, "$.protocol", definition.protocol, rule));
  }

  /** Undefined where nobody contests its path; otherwise whether it is the one that keeps the path closed. */
  #contests(judgement: Judgement, problems: Problem[]): boolean | undefined {
    const { place } = judgement;
    const others = place === undefined ? undefined : this.#contested.get(keyOf(place, place.listen_path));
    if (place === undefined || others === undefined) return undefined;
    const names = others.filter((other) => other !== judgement).map(({ file }) => file);
    const message = `is the listen path of ${names.join(", ")} too, and they ask callers for different things: none is served`;
    problems.push(error(judgement, "$.proxy.listen_path", place.listen_path, message));
    this.#places.set(keyOf(place, place.listen_path), judgement.file);
    return others[0] === judgement;
  }

  /** As in Tyk: of two equal paths the later gets its api_id as a suffix, and `_` as often as that is taken too. */
  #claim(judgement: Judgement, problems: Problem[]): string | undefined {
    const { place } = judgement;
    if (place === undefined) return undefined;
    let path = place.listen_path;
    const key = () => keyOf(place, path);
    const holder = this.#places.get(key());
    if (holder !== undefined) {
      path += `-${judgement.api_id}`;
      while (this.#places.has(key())) path += "_";
      const message = `is the listen path already of ${holder} on port ${place.port}; changed to ${path}`;
      problems.push(error(judgement, "$.proxy.listen_path", place.listen_path, message));
    }
    this.#places.set(key(), judgement.file);
    return path;
  }

  #leaveOut(judgement: Judgement, refusal: Problem, path: string | undefined): void {
    const { api, api_id, file, place } = judgement;
    this.#leftOut.push({ name: api, api_id, file, reason: `${refusal.path} ${refusal.message}`.trim() });
    if (place !== undefined && path !== undefined) this.#closed.push({ ...place, listen_path: path });
  }
}

function error(judgement: Judgement, path: string, found: string, message: string): Problem {
  return { level: "error", file: judgement.file, path, found: JSON.stringify(found), message, api: judgement.api };
}
