/**
 * The Huffman code of RFC 7541 section 5.2 and appendix B. The code is canonical: the lengths alone define it.
 *
 * Must not know: fields, tables. Decoding runs for each string not seen before; encoding once per interned value.
 */

const lengths = new Uint8Array(
  `13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
   6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
   13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
   15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
   20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
   22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
   26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
   20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
   30`
    .trim()
    .split(/\s+/)
    .map(Number),
);

/** The symbol that no string may hold. */
export const EOS = 256;
const LONGEST = 30;
/** Codes up to this length are found with one look-up: all of printable ASCII but fifteen rare marks. */
const SHORT = 10;

const codes = new Int32Array(EOS + 1);
/** Symbols by (length, value); per length the first code and where its symbols begin. */
const symbols = new Int16Array(EOS + 1);
const firstCode = new Int32Array(LONGEST + 2);
const firstSymbol = new Int32Array(LONGEST + 2);
/** (length << 8) | symbol for each ten bits that begin with a short code; 0 where a longer code begins. */
const short = new Uint16Array(1 << SHORT);
/** What one look-up in the body of a string sees: two codes of digits and letters of most values. */
const WIDE = 12;
/** (symbols << 20) | (bits << 16) | (second << 8) | first for each twelve bits; 0 where a longer code begins. */
const wide = new Int32Array(1 << WIDE);

function layOut(): void {
  let code = 0;
  let at = 0;
  for (let length = 1; length <= LONGEST; length++) {
    firstCode[length] = code;
    firstSymbol[length] = at;
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (lengths[symbol] !== length) continue;
      if (length <= SHORT) short.fill((length << 8) | symbol, code << (SHORT - length), (code + 1) << (SHORT - length));
      symbols[at++] = symbol;
      codes[symbol] = code++;
    }
    code *= 2;
  }
  firstSymbol[LONGEST + 1] = at;
}
layOut();

function layOutWide(): void {
  for (let bits = 0; bits < 1 << WIDE; bits++) {
    const first = short[bits >> (WIDE - SHORT)]!;
    if (first === 0) continue;
    const used = first >> 8;
    const second = short[((bits << used) & 4095) >> (WIDE - SHORT)]!;
    const both = used + (second >> 8);
    // The bits behind the window are taken for zeros, so a code that is cut by its end is not known yet.
    if (second === 0 || both > WIDE) wide[bits] = (1 << 20) | (used << 16) | (first & 255);
    else wide[bits] = (2 << 20) | (both << 16) | ((second & 255) << 8) | (first & 255);
  }
}
layOutWide();

/** The code of a symbol, its last bit lowest. */
export function codeOf(symbol: number): number {
  return codes[symbol]!;
}

/** … and how many bits it has. */
export function lengthOf(symbol: number): number {
  return lengths[symbol]!;
}

/** The most octets that `length` coded octets can stand for: the shortest code has five bits. */
export function huffmanDecodedBound(length: number): number {
  return ((length * 8) / 5) | 0;
}

/** Reads one bit string of 11 to 30 bits at bit `from`; returns (symbol << 5) | length, or -1 where the bits end first. */
function longCode(buf: Uint8Array, from: number, bits: number): number {
  let code = 0;
  for (let length = 1; length <= LONGEST && from < bits; length++, from++) {
    code = (code << 1) | ((buf[from >> 3]! >> (7 - (from & 7))) & 1);
    const at = code - firstCode[length]! + firstSymbol[length]!;
    if (at < firstSymbol[length + 1]! && at >= firstSymbol[length]!) return (symbols[at]! << 5) | length;
  }
  return -1;
}

/**
 * Decodes [start, end) into `out` from 0, which must hold huffmanDecodedBound octets. Returns the number of octets
 * written, or -1: the end-of-string code, padding longer than seven bits, or padding that is not all ones (5.2).
 */
export function huffmanDecode(buf: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let bits = 0;
  let held = 0;
  let pos = start;
  let at = 0;
  for (;;) {
    while (held >= WIDE || pos + 2 <= end) {
      if (held < WIDE) {
        bits = (bits << 16) | (buf[pos]! << 8) | buf[pos + 1]!;
        pos += 2;
        held += 16;
      }
      const pair = wide[(bits >> (held - WIDE)) & 4095]!;
      if (pair === 0) break;
      out[at] = pair & 255;
      if (pair >= 2 << 20) out[at + 1] = (pair >> 8) & 255;
      at += pair >> 20;
      held -= (pair >> 16) & 15;
    }
    while (held <= 22 && pos < end) {
      bits = (bits << 8) | buf[pos++]!;
      held += 8;
    }
    const entry = held >= SHORT ? short[(bits >> (held - SHORT)) & 1023]! : short[(bits << (SHORT - held)) & 1023]!;
    const length = entry >> 8;
    if (length !== 0 && length <= held) {
      out[at++] = entry & 255;
      held -= length;
      continue;
    }
    if (held < 8 && pos === end && (bits & ((1 << held) - 1)) === (1 << held) - 1) return at;
    if (length !== 0) return -1;
    // A rare long code: read it bit by bit, then take up the fast way behind it.
    const from = pos * 8 - held;
    const found = longCode(buf, from, end * 8);
    if (found < 0 || found >> 5 === EOS) return -1;
    out[at++] = found >> 5;
    const next = from + (found & 31);
    pos = (next + 7) >> 3;
    held = pos * 8 - next;
    bits = held === 0 ? 0 : buf[pos - 1]!;
  }
}

/** Octets of the Huffman form of a latin1 string. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 255]!;
  return (bits + 7) >> 3;
}

/** Writes the Huffman form of a latin1 string; returns the offset behind it. */
export function huffmanEncode(text: string, out: Uint8Array, at: number): number {
  let bits = 0;
  let held = 0;
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i) & 255;
    let length = lengths[octet]!;
    let code = codes[octet]!;
    // At most seven bits wait, so a long code is laid down in two parts to stay inside 31 bits.
    if (length > 16) {
      bits = (bits << (length - 16)) | (code >> 16);
      held += length - 16;
      while (held >= 8) {
        held -= 8;
        out[at++] = bits >> held;
      }
      bits &= (1 << held) - 1;
      length = 16;
      code &= 0xffff;
    }
    bits = (bits << length) | code;
    held += length;
    while (held >= 8) {
      held -= 8;
      out[at++] = bits >> held;
    }
    bits &= (1 << held) - 1;
  }
  if (held > 0) out[at++] = (bits << (8 - held)) | ((1 << (8 - held)) - 1);
  return at;
}
