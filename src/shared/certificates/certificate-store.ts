// The certificates of organisations in the store: added whole or not at all, listed, shown, removed.
// Responsible for names, the list of each organisation, sealing keys, telling everybody. Must not know: HTTP, handshakes.
// Governed by: Tyk's layout (spec 4.2), `cert-raw-<id>` and the list `cert-<org_id>-index` of `raw-<id>`; Tyk's store is
// read as it is, with its encryption. Keys are written under AES-256-GCM. Runs: per request of an operator.

import { createPrivateKey, createPublicKey } from "node:crypto";
import { CERTIFICATES_CHANGED, type Store } from "../store/store.js";
import { readCertificate } from "./certificate.js";
import { readPem, writePem } from "./pem.js";
import { sealKey } from "./private-key.js";
import { keyFingerprint } from "./reference.js";
import { STORED_PREFIX } from "./stored.js";

/** Parts of names of records; no separators, nothing that a pattern of names would mean otherwise. */
const ORG = /^[A-Za-z0-9_-]{0,100}$/;
const ENTRY = "raw-";
const HEX = /^[0-9a-f]{64}$/;
/** Round trips with so many names each. */
const PAGE = 256;

export type Added = { readonly id: string } | { readonly exists: string } | { readonly problem: string };

export interface StoredPem {
  readonly id: string;
  readonly pem: string;
}

export class CertificateStore {
  readonly #store: Store;
  readonly #secret: string;

  /** @param secret seals private keys, and opens those that come encrypted */
  constructor(store: Store, secret: string) {
    this.#store = store;
    this.#secret = secret;
  }

  static isOrganisation(org: string): boolean {
    return ORG.test(org);
  }

  /** A certificate with its chain and perhaps its key, or a public key for pinning. */
  async add(text: string, org: string): Promise<Added> {
    const entry = this.#entryOf(text);
    if ("problem" in entry) return entry;
    const id = org + entry.fingerprint;
    const isNew = await this.#store.put(STORED_PREFIX + id, Buffer.from(entry.pem), { when: "absent" });
    // Also when it was there: whoever put it may have been cut off before the list had it.
    const listed = await this.#store.listValues(indexOf(org));
    if (!listed.includes(ENTRY + id)) await this.#store.listAdd(indexOf(org), ENTRY + id);
    if (!isNew) return { exists: id };
    await this.#announce(id);
    return { id };
  }

  /** Removing what is not there is no trouble, as in Tyk. */
  async remove(id: string, org: string): Promise<boolean> {
    const found = await this.#store.delete(STORED_PREFIX + id);
    await this.#store.listRemove(indexOf(org), ENTRY + id);
    if (found) await this.#announce(id);
    return found;
  }

  /** Ids, in the order in which they came. */
  async list(org: string): Promise<string[]> {
    const entries = await this.#store.listValues(indexOf(org));
    if (entries.length === 0) return this.#rebuild(org);
    return [...new Set(entries.filter((entry) => entry.startsWith(ENTRY)).map((entry) => entry.slice(ENTRY.length)))];
  }

  /** In the order of the ids; those that are not there are left out. */
  async find(ids: readonly string[]): Promise<StoredPem[]> {
    const found: StoredPem[] = [];
    for (let at = 0; at < ids.length; at += PAGE) {
      const some = ids.slice(at, at + PAGE);
      const values = await this.#store.getMany(some.map((id) => STORED_PREFIX + id));
      for (const [n, value] of values.entries())
        if (value !== undefined) found.push({ id: some[n]!, pem: Buffer.from(value).toString("utf8") });
    }
    return found;
  }

  /** A store that an old Tyk filled has no list yet. It is looked for once, as Tyk does, because that walks all names. */
  async #rebuild(org: string): Promise<string[]> {
    const flag = `${indexOf(org)}-migrated`;
    if ((await this.#store.get(flag)) !== undefined) return [];
    const ids: string[] = [];
    for await (const names of this.#store.list(STORED_PREFIX + org))
      for (const name of names)
        if (HEX.test(name.slice(STORED_PREFIX.length + org.length))) ids.push(name.slice(STORED_PREFIX.length));
    for (const id of ids) await this.#store.listAdd(indexOf(org), ENTRY + id);
    await this.#store.put(flag, Buffer.from("1"));
    return ids;
  }

  #entryOf(text: string): { readonly fingerprint: string; readonly pem: string } | { readonly problem: string } {
    const pinned = publicKeyIn(text);
    if (pinned !== undefined) return pinned;
    const read = readCertificate(text, this.#secret);
    if ("problem" in read) return read;
    if (read.key === "") return { fingerprint: read.fingerprint, pem: read.chain };
    if (this.#secret === "") return { problem: "holds a private key and there is no secret to seal it with" };
    return { fingerprint: read.fingerprint, pem: read.chain + sealKey(createPrivateKey(read.key), this.#secret) };
  }

  #announce(id: string): Promise<void> {
    return this.#store.publish({ command: CERTIFICATES_CHANGED, payload: id });
  }
}

function indexOf(org: string): string {
  return `cert-${org}-index`;
}

/** A PEM of one public key and nothing else; its id is the fingerprint that pins name. */
export function publicKeyIn(text: string): { readonly fingerprint: string; readonly pem: string } | undefined {
  const [block, ...more] = readPem(text);
  if (block?.label !== "PUBLIC KEY" || more.length > 0) return undefined;
  try {
    const key = createPublicKey({ key: block.der, format: "der", type: "spki" });
    return { fingerprint: keyFingerprint(key), pem: writePem("PUBLIC KEY", block.der) };
  } catch {
    return undefined;
  }
}
