/**
 * Values that are passed on unread: their octets are copied, and judged on the way without being decoded. What is not
 * plainly right is left to whoever decodes it and knows how to say what is wrong.
 *
 * Huffman codes (RFC 7541 5.2) are walked an octet at a time, a state being an inner node of the tree of codes.
 * Must not know: fields, names. Runs for each value of a volatile name.
 */
import { isLegalValue } from "./field-flaw.js";
import { codeOf, EOS, lengthOf } from "./huffman.js";

/**
 * The longest value that is kept in this form. With the octet of its length it stays within what the runtime keeps
 * inside its own heap: a longer array is memory of the system's, and dearer than the text.
 */
export const LONGEST_SENT = 63;

/** Set in a step that ends a symbol which not every value may hold everywhere. */
const DOUBTFUL = 4;

/** By (state << 8) | octet: (next state << 8), DOUBTFUL, and the number of symbols that end in the octet. */
let steps: Uint16Array | null = null;
/** 1 for the states in which a string may end: nothing is left, or up to seven ones (5.2). */
const endings = new Uint8Array(256);
const doubtful = Uint8Array.from({ length: EOS + 1 }, (_, symbol) =>
  symbol !== EOS && isLegalValue(String.fromCharCode(symbol)) ? 0 : DOUBTFUL,
);

/** Inner nodes by number, two children each: another node's number, or -1 - symbol. The root is 0. */
function tree(): number[] {
  const nodes = [0, 0];
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = lengthOf(symbol) - 1; bit >= 0; bit--) {
      const at = node * 2 + ((codeOf(symbol) >> bit) & 1);
      if (bit === 0) nodes[at] = -1 - symbol;
      else if (nodes[at] === 0) nodes[at] = nodes.push(0, 0) / 2 - 1;
      node = nodes[at]!;
    }
  }
  return nodes;
}

/** Four bits at a time first: two such steps make one of eight. Takes well under a millisecond, once. */
function layOut(): Uint16Array {
  const nodes = tree();
  const half = new Uint16Array(256 * 16);
  for (let at = 0; at < half.length; at++) {
    let [node, found] = [at >> 4, 0];
    for (let bit = 3; bit >= 0; bit--) {
      node = nodes[node * 2 + ((at >> bit) & 1)]!;
      if (node >= 0) continue;
      found = ((found & 3) + 1) | (found & DOUBTFUL) | doubtful[-1 - node]!;
      node = 0;
    }
    half[at] = (node << 8) | found;
  }
  const whole = new Uint16Array(256 * 256);
  for (let at = 0; at < whole.length; at++) {
    const first = half[at >> 4]!;
    const second = half[((first >> 8) << 4) | (at & 15)]!;
    whole[at] = (second & 0xff00) | ((first | second) & DOUBTFUL) | ((first & 3) + (second & 3));
  }
  for (let ones = 0, node = 0; ones < 8; ones++, node = nodes[node * 2 + 1]!) endings[node] = 1;
  return whole;
}

/**
 * Copies the octets of a Huffman-coded value to `out` from 1 on. @returns the length of its text, or -1 where it is at
 * fault or holds a blank or worse
 */
export function copyCoded(buf: Uint8Array, start: number, end: number, out: Uint8Array): number {
  steps ??= layOut();
  let step = 0;
  let found = 0;
  let length = 0;
  for (let from = start, to = 1; from < end; from++, to++) {
    const octet = buf[from]!;
    out[to] = octet;
    step = steps[(step & 0xff00) | octet]!;
    length += step & 3;
    found |= step;
  }
  return (found & DOUBTFUL) !== 0 || endings[step >> 8] === 0 ? -1 : length;
}

/** The same of a value that is not coded. */
export function copyPlain(buf: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let found = 0;
  for (let from = start, to = 1; from < end; from++, to++) {
    const octet = buf[from]!;
    out[to] = octet;
    found |= doubtful[octet]!;
  }
  return found === 0 ? end - start : -1;
}
