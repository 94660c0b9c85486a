/**
 * Every field of one worker, interned: as long as the store remembers a field, the same name, value and never-indexed
 * mark come back as the same object. Strings are recognised by their octets on the wire, Huffman-coded or not, so a
 * literal that repeats costs neither decoding nor a new string.
 *
 * Bounded: a cache of four ways with a second chance for what was met again; forgetting costs identity, never
 * correctness. A name whose values keep being new (timeouts, trace and request ids) is volatile: its fields are made
 * fresh, `stable` false, and looked up again only now and then. Values of credentials have a table of their own,
 * where the two forms of one value may be two objects.
 *
 * Must not know: tables, header blocks, connections. Runs for each literal decoded and each field made by ourselves.
 */
import { CredentialStore } from "./credential-store.js";
import { FieldKind } from "./field-kind.js";
import { Field, type FieldName } from "./field-record.js";
import { NameStore } from "./name-store.js";
import { copyCoded, copyPlain, LONGEST_SENT } from "./sent-value.js";
import { STATIC_LENGTH, staticIndexOf, staticNames, staticValues } from "./static-table.js";
import { hashOctets, hashText, sameOctets, sameText } from "./wire-hash.js";
import { copyOf, WireText } from "./wire-text.js";

export interface FieldStoreLimits {
  /** Fields remembered; rounded up to a power of two. */
  entries?: number;
  /** Octets of all remembered fields, by Field.size. */
  bytes?: number;
  /** A longer value is never remembered. */
  valueBytes?: number;
  /** Names remembered beside those that have a meaning of their own. */
  names?: number;
  /** Slots for values of credentials, in a table of their own; a power of two. */
  credentials?: number;
  /** Octets of those values, by Field.size. */
  credentialBytes?: number;
}

const WAYS = 4;
/** Marks mixed into the hash so that the forms of one value lie in places of their own. */
const HUFFMAN_MARK = 0x5bd1e995;
const NEVER_MARK = 0x3c6ef372;

/** So many more new values than repeated ones make a name volatile. */
const HEAT_LIMIT = 48;
/** Names that decisions hang on: interning these pays even where thousands of values take turns. */
const HEAT_LIMIT_DECISIVE = 4096;
/** New values that a volatile name may show before it is skipped again. */
const HEAT_RETRY = 8;
const FIRST_SKIP = 256;
const LAST_SKIP = 16384;

/** A hundred thousand keys in use find room: half the slots, and tokens of a hundred octets. */
const CREDENTIALS = 1 << 18;
const CREDENTIAL_BYTES = 24 << 20;

function heatLimit(kind: number): number {
  return kind >= FieldKind.METHOD && kind <= FieldKind.STATUS ? HEAT_LIMIT_DECISIVE : HEAT_LIMIT;
}

function powerOfTwo(n: number): number {
  let p = WAYS;
  while (p < n) p *= 2;
  return p;
}

export class FieldStore {
  /** Field slots in use. */
  size = 0;
  /** Sum of Field.size over the slots in use. */
  bytes = 0;
  /** The static table's fields by index; 0 is unused. */
  readonly statics: Field[] = [];
  /** Values of credentials. */
  readonly credentials: CredentialStore;

  readonly #entries: number;
  readonly #maxBytes: number;
  readonly #maxValue: number;
  readonly #seed: number;
  readonly #hashes: Int32Array;
  readonly #used: Uint8Array;
  readonly #slots: (Field | null)[] = [];
  readonly #text = new WireText();
  readonly #names: NameStore;
  #hand = 0;

  constructor(limits: FieldStoreLimits = {}) {
    this.#entries = powerOfTwo(limits.entries ?? 8192);
    this.#maxBytes = limits.bytes ?? 4 << 20;
    this.#maxValue = limits.valueBytes ?? 4096;
    this.credentials = new CredentialStore({
      entries: limits.credentials ?? CREDENTIALS,
      bytes: limits.credentialBytes ?? CREDENTIAL_BYTES,
    });
    this.#seed = (Math.random() * 0x7fffffff) | 0;
    this.#names = new NameStore(this.#text, limits.names ?? 1024, FIRST_SKIP, this.#seed);
    this.#hashes = new Int32Array(this.#entries);
    this.#used = new Uint8Array(this.#entries);
    for (let i = 0; i < this.#entries; i++) this.#slots.push(null);
    this.#fillStatics();
  }

  #fillStatics(): void {
    for (let at = 0; at < STATIC_LENGTH; at++) {
      const field = new Field(this.pin(staticNames[at]!), staticValues[at]!, false, true);
      if (at === 0) this.statics.push(field);
      this.statics.push(field);
    }
  }

  /** The name of this text. Identity lasts until a flood of names; where it must last, pin. */
  name(text: string): FieldName {
    return this.#names.name(text);
  }

  /** A name that this store never forgets: for names in settings, whose number the operator decides. */
  pin(text: string): FieldName {
    return this.#names.pin(text);
  }

  /** From now on values of this name are secrets. What tables already hold of it stays there until evicted. */
  markCredential(text: string): void {
    this.#names.markCredential(text);
  }

  /** The field of this name and value (latin1), interned unless the name is volatile or the value long. */
  field(name: FieldName | string, value: string, neverIndexed = false): Field {
    const of = typeof name === "string" ? this.name(name) : name;
    if (value.length > this.#maxValue) return new Field(of, value, neverIndexed, false);
    const hash = hashText(value, this.#seedOf(of, false, neverIndexed));
    const known = this.#findText(hash, of, value, neverIndexed);
    if (known !== null) return known;
    return this.#make(hash, of, value, neverIndexed);
  }

  /** A field that no slot knows: the static table's, or a new one, kept unless its name is volatile. */
  #make(hash: number, name: FieldName, value: string, neverIndexed: boolean): Field {
    const index = neverIndexed ? 0 : staticIndexOf(name.staticIndex, value);
    if (name.credential) {
      if (index !== 0) return this.statics[index]!;
      return this.credentials.keep(hash, new Field(name, value, neverIndexed, true));
    }
    if (index !== 0) return this.#keep(hash, this.statics[index]!);
    if (this.#isVolatile(name)) return new Field(name, value, neverIndexed, false);
    return this.#keep(hash, new Field(name, value, neverIndexed, true));
  }

  /** The interned field that equals this one, for a fresh one that proved to repeat; itself where it is too long. */
  settle(field: Field): Field {
    if (field.stable || field.value.length > this.#maxValue) return field;
    const hash = hashText(field.value, this.#seedOf(field.name, false, field.neverIndexed));
    const known = this.#findText(hash, field.name, field.value, field.neverIndexed);
    if (known !== null) return known;
    const settled = new Field(field.name, field.value, field.neverIndexed, true);
    return field.name.credential ? this.credentials.keep(hash, settled) : this.#keep(hash, settled);
  }

  /** The name whose string literal holds these octets, or null where its Huffman form is at fault. */
  nameFromWire(buf: Uint8Array, start: number, end: number, huffman: boolean): FieldName | null {
    return this.#names.fromWire(buf, start, end, huffman);
  }

  /** The field whose value's string literal holds these octets, or null where its Huffman form is at fault. */
  fieldFromWire(
    name: FieldName,
    buf: Uint8Array,
    start: number,
    end: number,
    huffman: boolean,
    neverIndexed: boolean,
  ): Field | null {
    if (name.skip > 0 || end - start > this.#maxValue) {
      if (name.skip > 0) name.skip--;
      return this.#freshFromWire(name, buf, start, end, huffman, neverIndexed);
    }
    const hash = hashOctets(buf, start, end, this.#seedOf(name, huffman, neverIndexed));
    if (name.credential) return this.#credentialFromWire(hash, name, buf, start, end, huffman, neverIndexed);
    const base = hash & (this.#entries - WAYS);
    for (let i = base; i < base + WAYS; i++) {
      if (this.#hashes[i] !== hash) continue;
      const field = this.#slots[i]!;
      if (field === null || field.name !== name || field.neverIndexed !== neverIndexed) continue;
      if (huffman ? sameOctets(field.wire, buf, start, end) : sameText(field.value, buf, start, end)) {
        this.#used[i] = 1;
        this.#cool(name);
        return field;
      }
    }
    return this.#newFromWire(hash, name, buf, start, end, huffman, neverIndexed);
  }

  #freshFromWire(
    name: FieldName,
    buf: Uint8Array,
    start: number,
    end: number,
    huffman: boolean,
    neverIndexed: boolean,
  ): Field | null {
    const octets = end - start;
    if (name.octetsOnly && octets <= LONGEST_SENT) {
      const sent = new Uint8Array(octets + 1);
      const text = huffman ? copyCoded(buf, start, end, sent) : copyPlain(buf, start, end, sent);
      // A code that makes a value longer would break the bound on what is sent of it.
      if (text >= octets) {
        sent[0] = huffman ? 0x80 | octets : octets;
        return new Field(name, null, neverIndexed, false, sent, text);
      }
    }
    const length = this.#text.read(buf, start, end, huffman);
    if (length < 0) return null;
    return new Field(name, this.#text.text(length), neverIndexed, false);
  }

  /** A credential's value is kept at its second sight; its first costs neither room nor what is kept. */
  #credentialFromWire(
    hash: number,
    name: FieldName,
    buf: Uint8Array,
    start: number,
    end: number,
    huffman: boolean,
    neverIndexed: boolean,
  ): Field | null {
    const { credentials } = this;
    const known = credentials.find(hash, name, neverIndexed, buf, start, end, huffman);
    if (known !== null) return known;
    const length = this.#text.read(buf, start, end, huffman);
    if (length < 0) return null;
    const value = this.#text.text(length);
    if (length > this.#maxValue || !credentials.metBefore(hash)) return new Field(name, value, neverIndexed, false);
    if (!huffman) return this.#make(hash, name, value, neverIndexed);
    // One slot for each: a caller codes its key one way, and the other form may be an object of its own.
    const plain = hashText(value, this.#seedOf(name, false, neverIndexed));
    const field = this.#findText(plain, name, value, neverIndexed) ?? new Field(name, value, neverIndexed, true);
    field.wire = copyOf(buf, start, end);
    return credentials.keep(hash, field);
  }

  #newFromWire(
    hash: number,
    name: FieldName,
    buf: Uint8Array,
    start: number,
    end: number,
    huffman: boolean,
    neverIndexed: boolean,
  ): Field | null {
    const length = this.#text.read(buf, start, end, huffman);
    if (length < 0) return null;
    const value = this.#text.text(length);
    if (length > this.#maxValue) return new Field(name, value, neverIndexed, false);
    if (!huffman) return this.#make(hash, name, value, neverIndexed);
    // The value may be known from its plain form; then only the way to it is new.
    const field = this.field(name, value, neverIndexed);
    if (!field.stable) return field;
    field.wire = copyOf(buf, start, end);
    return this.#keep(hash, field);
  }

  #seedOf(name: FieldName, huffman: boolean, neverIndexed: boolean): number {
    return this.#seed ^ name.salt ^ (huffman ? HUFFMAN_MARK : 0) ^ (neverIndexed ? NEVER_MARK : 0);
  }

  #findText(hash: number, name: FieldName, value: string, neverIndexed: boolean): Field | null {
    if (name.credential) return this.credentials.findText(hash, name, neverIndexed, value);
    const base = hash & (this.#entries - WAYS);
    for (let i = base; i < base + WAYS; i++) {
      if (this.#hashes[i] !== hash) continue;
      const field = this.#slots[i]!;
      if (field !== null && field.name === name && field.neverIndexed === neverIndexed && field.value === value) {
        this.#used[i] = 1;
        this.#cool(name);
        return field;
      }
    }
    return null;
  }

  /** A value of this name was met again. */
  #cool(name: FieldName): void {
    if (name.heat === 0) return;
    name.heat = name.heat > 2 ? name.heat - 2 : 0;
    if (name.heat === 0) name.nextSkip = FIRST_SKIP;
  }

  /** A value of this name was new: counts it, and says whether the name has become, or still is, volatile. */
  #isVolatile(name: FieldName): boolean {
    if (name.skip > 0) {
      name.skip--;
      return true;
    }
    const limit = heatLimit(name.kind);
    if (++name.heat < limit) return false;
    name.heat = limit - HEAT_RETRY;
    name.skip = name.nextSkip;
    if (name.nextSkip < LAST_SKIP) name.nextSkip *= 2;
    return true;
  }

  #keep(hash: number, field: Field): Field {
    const base = hash & (this.#entries - WAYS);
    let slot = -1;
    for (let i = base; i < base + WAYS; i++) {
      if (this.#slots[i] === null) {
        slot = i;
        break;
      }
      if (this.#used[i] === 0) slot = i;
    }
    if (slot < 0) {
      this.#used.fill(0, base, base + WAYS);
      slot = base + (this.#hand & (WAYS - 1));
    }
    this.#drop(slot);
    this.#slots[slot] = field;
    this.#hashes[slot] = hash;
    this.size++;
    this.bytes += field.size;
    while (this.bytes > this.#maxBytes) this.#sweep();
    return field;
  }

  #drop(slot: number): void {
    const field = this.#slots[slot]!;
    if (field === null) return;
    this.#slots[slot] = null;
    this.#used[slot] = 0;
    this.size--;
    this.bytes -= field.size;
  }

  /** One step of the hand: what was met since it last came by stays for another round. */
  #sweep(): void {
    this.#hand = (this.#hand + 1) & (this.#entries - 1);
    if (this.#used[this.#hand] === 1) this.#used[this.#hand] = 0;
    else this.#drop(this.#hand);
  }
}
