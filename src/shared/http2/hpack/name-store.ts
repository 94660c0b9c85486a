/**
 * Every field name of one worker, interned, and recognised by its octets on the wire. Bounded: a flood of made-up names
 * makes it forget all that are not pinned; then their identity is lost, never their meaning.
 *
 * Must not know: values. Runs for each literal name decoded.
 */
import { isLegalName } from "./field-flaw.js";
import { FieldKind, knownNames } from "./field-kind.js";
import { FieldName } from "./field-record.js";
import { hashOctets, sameOctets, sameText } from "./wire-hash.js";
import { copyOf, type WireText } from "./wire-text.js";

const WAYS = 4;
const SLOTS = 1024;
/** A longer name is made anew each time. */
const LONGEST = 256;
/** Mixed into the hash of Huffman-coded octets: the forms of one name lie in places of their own. */
const HUFFMAN_MARK = 0x5bd1e995;

export class NameStore {
  readonly #most: number;
  readonly #firstSkip: number;
  readonly #seed: number;
  readonly #text: WireText;
  readonly #names = new Map<string, FieldName>();
  readonly #credentials = new Set<string>();
  readonly #hashes = new Int32Array(SLOTS);
  readonly #slots: (FieldName | null)[] = [];
  #salt: number;
  #turn = 0;

  constructor(text: WireText, most: number, firstSkip: number, seed: number) {
    this.#text = text;
    this.#most = most;
    this.#firstSkip = firstSkip;
    this.#seed = seed;
    this.#salt = seed;
    for (let i = 0; i < SLOTS; i++) this.#slots.push(null);
    for (const known of knownNames) this.pin(known);
  }

  name(text: string): FieldName {
    return this.#names.get(text) ?? this.#newName(text);
  }

  pin(text: string): FieldName {
    const name = this.name(text);
    name.pinned = true;
    return name;
  }

  markCredential(text: string): void {
    const lower = text.toLowerCase();
    if (!isLegalName(lower)) throw new Error(`not a field name: ${text}`);
    this.#credentials.add(lower);
    markName(this.pin(lower));
  }

  /** The name whose string literal holds these octets, or null where its Huffman form is at fault. */
  fromWire(buf: Uint8Array, start: number, end: number, huffman: boolean): FieldName | null {
    const hash = hashOctets(buf, start, end, huffman ? this.#seed ^ HUFFMAN_MARK : this.#seed);
    const base = hash & (SLOTS - WAYS);
    for (let i = base; i < base + WAYS; i++) {
      if (this.#hashes[i] !== hash) continue;
      const name = this.#slots[i]!;
      if (name !== null && (huffman ? sameOctets(name.wire, buf, start, end) : sameText(name.text, buf, start, end))) {
        return name;
      }
    }
    const length = this.#text.read(buf, start, end, huffman);
    if (length < 0) return null;
    const name = this.name(this.#text.text(length));
    if (length > LONGEST) return name;
    if (huffman) name.wire = copyOf(buf, start, end);
    this.#keep(hash, name);
    return name;
  }

  #keep(hash: number, name: FieldName): void {
    const base = hash & (SLOTS - WAYS);
    let slot = base;
    while (slot < base + WAYS && this.#slots[slot] !== null) slot++;
    if (slot === base + WAYS) slot = base + (this.#turn++ & (WAYS - 1));
    this.#slots[slot] = name;
    this.#hashes[slot] = hash;
  }

  #newName(text: string): FieldName {
    if (this.#names.size >= this.#most) this.#forget();
    this.#salt = (Math.imul(this.#salt, 0x19660d) + 0x3c6ef35f) | 0;
    const name = new FieldName(text, this.#salt, this.#firstSkip);
    if (this.#credentials.has(text)) markName(name);
    if (text.length <= LONGEST) this.#names.set(text, name);
    return name;
  }

  #forget(): void {
    for (const name of this.#names.values()) if (!name.pinned) this.#names.delete(name.text);
    for (let i = 0; i < SLOTS; i++) if (this.#slots[i]?.pinned === false) this.#slots[i] = null;
  }
}

function markName(name: FieldName): void {
  name.credential = true;
  if (name.kind === FieldKind.REGULAR) name.kind = FieldKind.CREDENTIAL;
}
