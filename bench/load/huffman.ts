/**
 * The Huffman code of header strings. The code is canonical, so the lengths alone give it. Written for this client only: it judges
 * the gateway's own codec and must share nothing with it. Governed by RFC 7541, 5.2 and appendix B. Runs per literal string.
 */

const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];
const END_OF_STRING = 256;
const CODES = new Uint32Array(LENGTHS.length);
/** Two entries a node: the next node for bit 0 and bit 1; negative = a symbol, inverted. */
const TREE = new Int16Array(2 * LENGTHS.length);

const build = (): void => {
  const order = LENGTHS.map((_, symbol) => symbol).sort((a, b) => LENGTHS[a]! - LENGTHS[b]! || a - b);
  let code = 0;
  let length = 0;
  let nodes = 1;
  for (const symbol of order) {
    code <<= LENGTHS[symbol]! - length;
    length = LENGTHS[symbol]!;
    CODES[symbol] = code;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const slot = 2 * node + ((code >>> bit) & 1);
      if (bit === 0) TREE[slot] = ~symbol;
      else if (TREE[slot] === 0) TREE[slot] = nodes++;
      node = TREE[slot]!;
    }
    code++;
  }
};
build();

export const huffmanLength = (text: string): number => {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i) & 255]!;
  return (bits + 7) >> 3;
};

export const huffmanWrite = (text: string, into: Buffer, at: number): number => {
  let pending = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 255;
    const code = CODES[symbol]!;
    let length = LENGTHS[symbol]!;
    if (length > 24) {
      // Up to 7 bits wait and 30 come: too many for one 32-bit integer, so a long code goes in two parts.
      pending = (pending << 16) | (code >>> (length - 16));
      length -= 16;
      for (bits += 16; bits >= 8; bits -= 8) into[at++] = (pending >>> (bits - 8)) & 255;
    }
    pending = (pending << length) | (code & ((1 << length) - 1));
    for (bits += length; bits >= 8; bits -= 8) into[at++] = (pending >>> (bits - 8)) & 255;
  }
  if (bits > 0) into[at++] = ((pending << (8 - bits)) | (255 >> bits)) & 255;
  return at;
};

/** Four bits at a time: where the tree leads, and the symbol passed on the way (no code is shorter than five bits, so at most one). */
const STEPS = 16;
const NEXT = new Int16Array(LENGTHS.length * STEPS);
const PASSED = new Int16Array(LENGTHS.length * STEPS).fill(-1);
/** Padding is at most seven ones: the nodes where a string may end. */
const MAY_END = new Uint8Array(LENGTHS.length);

const buildSteps = (): void => {
  for (let start = 0; start < LENGTHS.length; start++) {
    for (let nibble = 0; nibble < STEPS; nibble++) {
      let node = start;
      for (let bit = 3; bit >= 0; bit--) {
        node = TREE[2 * node + ((nibble >> bit) & 1)]!;
        if (node >= 0) continue;
        PASSED[start * STEPS + nibble] = ~node;
        node = 0;
      }
      NEXT[start * STEPS + nibble] = node;
    }
  }
  for (let node = 0, depth = 0; depth < 8; depth++, node = TREE[2 * node + 1]!) MAY_END[node] = 1;
};
buildSteps();

let letters = Buffer.allocUnsafe(4096);

export const huffmanRead = (from: Buffer, start: number, end: number): string => {
  // The shortest code has five bits: eight letters of five bytes at most.
  if ((end - start) * 2 > letters.length) letters = Buffer.allocUnsafe((end - start) * 2);
  let length = 0;
  let node = 0;
  for (let i = start; i < end; i++) {
    const byte = from[i]!;
    for (let shift = 4; shift >= 0; shift -= 4) {
      const step = node * STEPS + ((byte >> shift) & 15);
      const symbol = PASSED[step]!;
      if (symbol >= 0) {
        if (symbol === END_OF_STRING) throw new Error("HPACK: end-of-string symbol inside a string");
        letters[length++] = symbol;
      }
      node = NEXT[step]!;
    }
  }
  if (MAY_END[node] === 0) throw new Error("HPACK: wrong padding of a Huffman string");
  return letters.toString("latin1", 0, length);
};
