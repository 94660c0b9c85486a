// `sluice keys export | import`: keys and organisations as lines of JSON, from one home to another.
// Responsible for the form of a line and for what cannot be carried over. Must not know: which home it is.
// An export of a Redis that Tyk filled is how keys leave Tyk. Runs: on demand, in a process of its own.
//
// A line is {"name", "session", "hashed", "ttl"?} or {"org", "session"}. It holds secrets: whoever has a plain name or a
// user's hash has nearly the key.

import { open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { Settings } from "../shared/config.js";
import { encodeSession } from "../shared/keys/codec.js";
import { keyRules } from "../shared/keys/token.js";
import { type Session, sessionSchema } from "../shared/model/session.js";
import { makeStore } from "../shared/store/homes.js";
import { Sessions } from "../shared/store/sessions.js";
import type { Store } from "../shared/store/store.js";

const PREFIX = "apikey-";
const BATCH = 500;

export interface Transferred {
  readonly keys: number;
  readonly organisations: number;
  /** What was left behind, a sentence each; never with a session's content. */
  readonly problems: readonly string[];
}

const lineSchema = z.union([
  z.object({
    name: z.string().min(1),
    session: sessionSchema,
    hashed: z.boolean(),
    ttl: z.number().positive().optional(),
  }),
  z.object({ org: z.string(), session: sessionSchema }),
]);
type Line = z.infer<typeof lineSchema>;
type KeyLine = Extract<Line, { name: string }>;

interface Home {
  readonly store: Store;
  readonly sessions: Sessions;
}

/** `file` empty: standard output. */
export function exportKeys(settings: Settings, file: string): Promise<Transferred> {
  return withHome(settings, async (home) => {
    const target = file === "" ? undefined : await open(file, "wx", 0o600);
    try {
      const write = async (lines: readonly Line[]): Promise<void> => {
        const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
        if (target !== undefined) await target.write(text);
        else await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
      };
      return await readAll(home, settings.hash_keys, write);
    } finally {
      await target?.close();
    }
  });
}

async function readAll(
  { store, sessions }: Home,
  hashed: boolean,
  write: (lines: readonly Line[]) => Promise<void>,
): Promise<Transferred> {
  let keys = 0;
  let organisations = 0;
  for await (const page of sessions.all()) {
    const lines = await Promise.all(
      page.map(async ({ name, session }) => {
        const ttl = await store.ttl(PREFIX + name);
        return ttl > 0 ? { name, session, hashed, ttl } : { name, session, hashed };
      }),
    );
    await write(lines);
    keys += lines.length;
  }
  for (const org of await sessions.organisations()) {
    const session = await sessions.organisation(org);
    if (session === undefined) continue;
    await write([{ org, session }]);
    organisations += 1;
  }
  return { keys, organisations, problems: [] };
}

/** `file` empty: standard input. A key that is there already is replaced. */
export function importKeys(settings: Settings, file: string): Promise<Transferred> {
  return withHome(settings, async (home) => {
    const source = file === "" ? undefined : await open(file, "r");
    try {
      const input = source === undefined ? process.stdin : source.createReadStream();
      return await new Import(home, settings).run(createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }));
    } finally {
      await source?.close();
    }
  });
}

class Import {
  readonly #home: Home;
  readonly #settings: Settings;
  readonly #problems: string[] = [];
  #batch: KeyLine[] = [];
  #keys = 0;
  #organisations = 0;

  constructor(home: Home, settings: Settings) {
    this.#home = home;
    this.#settings = settings;
  }

  async run(lines: AsyncIterable<string>): Promise<Transferred> {
    let number = 0;
    for await (const text of lines) {
      number += 1;
      if (text.trim() !== "") await this.#line(text, number);
      if (this.#batch.length >= BATCH) await this.#flush();
    }
    await this.#flush();
    return { keys: this.#keys, organisations: this.#organisations, problems: this.#problems };
  }

  async #line(text: string, number: number): Promise<void> {
    const line = readLine(text);
    if (line === undefined) this.#problems.push(`line ${number}: is no exported key`);
    else if ("org" in line) await this.#organisation(line.org, line.session);
    else if (line.hashed && !this.#settings.hash_keys)
      this.#problems.push(`line ${number}: was hashed, and this home has hash_keys off: the key itself is not known`);
    else this.#batch.push(line);
  }

  async #organisation(org: string, session: Session): Promise<void> {
    if (await this.#home.sessions.saveOrganisation(org, session)) this.#organisations += 1;
  }

  /** Many writes at once share one commit; the news of them is one message. */
  async #flush(): Promise<void> {
    const { store, sessions } = this.#home;
    const names = this.#batch.map(({ name, hashed }) => (hashed ? name : sessions.nameOf(name)));
    const written = await Promise.all(
      this.#batch.map(({ session, ttl }, at) =>
        store.put(PREFIX + names[at]!, encodeSession(session, this.#settings.storage.encoding), { ttl }),
      ),
    );
    await sessions.announce(names);
    this.#keys += written.filter(Boolean).length;
    this.#batch = [];
  }
}

function readLine(text: string): Line | undefined {
  try {
    const read = lineSchema.safeParse(JSON.parse(text));
    return read.success ? read.data : undefined;
  } catch {
    return undefined;
  }
}

async function withHome(settings: Settings, work: (home: Home) => Promise<Transferred>): Promise<Transferred> {
  const { storage, node_secret, allow_insecure_configs } = settings;
  const store = makeStore(storage, { nodeSecret: node_secret, allowUnsigned: allow_insecure_configs });
  await store.open();
  try {
    const health = store.health();
    if (!health.ok)
      throw new Error(`the store (${storage.type}) cannot be reached: ${health.output ?? "no reason given"}`);
    const sessions = new Sessions({ store, keys: keyRules(settings), encoding: storage.encoding, lifetime: {} });
    return await work({ store, sessions });
  } finally {
    await store.close();
  }
}
