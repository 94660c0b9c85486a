/**
 * A field name and a field as the whole engine carries them: made once, never changed in meaning, compared by
 * identity. Slots at the end of each record are caches of those who use it.
 *
 * Must not know: how fields are found again (field-store), tables, streams. Values are latin1: one char an octet.
 */
import { flawOf, isLegalName, isLegalValue, judgesOctetsOnly } from "./field-flaw.js";
import { FieldKind, kindOfName } from "./field-kind.js";
import { huffmanDecode, huffmanDecodedBound, huffmanEncode, huffmanLength } from "./huffman.js";
import { writeInteger } from "./integer.js";
import { LONGEST_SENT } from "./sent-value.js";
import { staticIndexOf, staticIndexOfName } from "./static-table.js";

/** RFC 7541 4.1: what an entry costs beside its octets. */
export const ENTRY_OVERHEAD = 32;

export class FieldName {
  readonly text: string;
  /** A FieldKind. Changed only by FieldStore.markCredential. */
  kind: number;
  /** The lowest static index with this name, 0 where none has it. */
  readonly staticIndex: number;
  /** RFC 9113 8.2.1: lower case, legal octets. */
  readonly valid: boolean;
  /** A value of legal octets has no flaw: nothing else is asked of it. */
  readonly octetsOnly: boolean;
  /** Its values are secrets: never put into a compression table (RFC 7541 7.1.3). */
  credential: boolean;
  /** Kept by the store for its whole life. */
  pinned = false;
  /** Tells names apart in the store's hash. */
  readonly salt: number;
  /** How much more often values of this name were new than met again; see field-store. */
  heat = 0;
  /** Values that will still be made without looking or keeping; 0 while the name is not volatile. */
  skip = 0;
  /** How many values are skipped when the name next turns out to be volatile. */
  nextSkip: number;
  /** The name as a string literal (RFC 7541 5.2), made when first sent. */
  literal: Uint8Array | null = null;
  /** The name's Huffman form as last met on the wire, by which the store recognises it. */
  wire: Uint8Array | null = null;

  constructor(text: string, salt: number, nextSkip: number) {
    this.text = text;
    this.kind = kindOfName(text);
    this.staticIndex = staticIndexOfName(text);
    this.valid = isLegalName(text);
    this.octetsOnly = this.valid && judgesOctetsOnly(this.kind);
    this.credential = this.kind === FieldKind.CREDENTIAL || this.kind === FieldKind.COOKIE;
    this.salt = salt;
    this.nextSkip = nextSkip;
  }
}

export class Field {
  readonly name: FieldName;
  /** It came, or must go, as a never-indexed literal (RFC 7541 6.2.3). */
  readonly neverIndexed: boolean;
  /** Interned: the same object comes back for the same name and value, so it may enter an encoder's table. */
  readonly stable: boolean;
  /** Name and value are legal octets in legal places (RFC 9113 8.2.1). */
  readonly valid: boolean;
  /** What it counts in tables and header lists: octets of name and value and 32. */
  readonly size: number;
  /** A FieldFlaw: what is wrong with it looked at alone, 0 for nothing. */
  readonly flaw: number;
  /** The static index that holds both name and value, 0 for none. */
  readonly staticIndex: number;
  /**
   * The value's string literal (RFC 7541 5.2) as it came, of a field that is not interned; null where there was text
   * from the start. Most such values are passed on unread, so no text is made of them unless somebody asks.
   */
  readonly sent: Uint8Array | null;
  /** Literal without indexing (RFC 7541 6.2.2), made when first sent; its value begins at `literalValueAt`. */
  literal: Uint8Array | null = null;
  literalValueAt = 0;
  /** The value's Huffman form as last met on the wire, by which the store recognises it. */
  wire: Uint8Array | null = null;
  /** The encoder that last put it into its table, and the number of the insertion. */
  holder = 0;
  heldAs = 0;
  /** A slot for the caller's own cache; nothing in here reads it. */
  decision: unknown = null;

  #value: string | null;

  /** With `sent` the value is null, its octets were found legal, and `length` is their number when plain. */
  constructor(
    name: FieldName,
    value: string | null,
    neverIndexed: boolean,
    stable: boolean,
    sent: Uint8Array | null = null,
    length = 0,
  ) {
    this.name = name;
    this.#value = value;
    this.neverIndexed = neverIndexed;
    this.stable = stable;
    this.sent = sent;
    if (value === null) {
      this.flaw = 0;
      this.valid = true;
      this.size = name.text.length + length + ENTRY_OVERHEAD;
      this.staticIndex = 0;
    } else {
      this.flaw = flawOf(name.kind, name.valid, value);
      this.valid = this.flaw === 0 || (name.valid && isLegalValue(value));
      this.size = name.text.length + value.length + ENTRY_OVERHEAD;
      this.staticIndex = neverIndexed ? 0 : staticIndexOf(name.staticIndex, value);
    }
  }

  get value(): string {
    this.#value ??= textOf(this.sent!);
    return this.#value;
  }
}

const plain = Buffer.allocUnsafeSlow(huffmanDecodedBound(LONGEST_SENT));

/** Leaves the octets of a value kept as it came in `out`, which holds 100; returns their number. */
export function octetsOf(sent: Uint8Array, out: Uint8Array): number {
  if (sent[0]! >= 0x80) return huffmanDecode(sent, 1, sent.length, out);
  for (let i = 1; i < sent.length; i++) out[i - 1] = sent[i]!;
  return sent.length - 1;
}

function textOf(sent: Uint8Array): string {
  return plain.toString("latin1", 0, octetsOf(sent, plain));
}

/** A string literal: length and octets, Huffman-coded where that is shorter. */
function stringLiteral(text: string): Uint8Array {
  const coded = huffmanLength(text);
  const scratch = new Uint8Array(6 + Math.max(coded, text.length));
  let at: number;
  if (coded < text.length) {
    at = huffmanEncode(text, scratch, writeInteger(scratch, 0, 0x80, 7, coded));
  } else {
    at = writeInteger(scratch, 0, 0, 7, text.length);
    for (let i = 0; i < text.length; i++) scratch[at++] = text.charCodeAt(i);
  }
  return scratch.slice(0, at);
}

export function nameLiteral(name: FieldName): Uint8Array {
  name.literal ??= stringLiteral(name.text);
  return name.literal;
}

/** The literal without indexing that needs no dynamic table, from now on kept with the field. */
export function fieldLiteral(field: Field): Uint8Array {
  if (field.literal !== null) return field.literal;
  const name = field.name;
  const value = stringLiteral(field.value);
  const scratch = new Uint8Array(name.text.length + value.length + 8);
  let at = writeInteger(scratch, 0, 0, 4, name.staticIndex);
  if (name.staticIndex === 0) {
    scratch.set(nameLiteral(name), at);
    at += nameLiteral(name).length;
  }
  scratch.set(value, at);
  field.literalValueAt = at;
  field.literal = scratch.slice(0, at + value.length);
  return field.literal;
}
