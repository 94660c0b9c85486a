/**
 * A seeded hash over octets, the same for octets in memory and for a latin1 string, and the comparisons that go with
 * it. A collision made on purpose only spoils a cache of four ways: correctness rests on the comparison.
 *
 * Runs for each string literal that is decoded.
 */

const MULTIPLIER = 0x2c1b3c6d;

export function hashOctets(buf: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16) | (buf[at + 3]! << 24);
    hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ word, MULTIPLIER);
  }
  for (; at < end; at++) hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ buf[at]!, MULTIPLIER);
  return hash ^ (hash >>> 15) ^ (end - start);
}

export function hashText(text: string, seed: number): number {
  let hash = seed;
  let at = 0;
  const end = text.length;
  for (; at + 4 <= end; at += 4) {
    const word =
      text.charCodeAt(at) |
      (text.charCodeAt(at + 1) << 8) |
      (text.charCodeAt(at + 2) << 16) |
      (text.charCodeAt(at + 3) << 24);
    hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ word, MULTIPLIER);
  }
  for (; at < end; at++) hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ text.charCodeAt(at), MULTIPLIER);
  return hash ^ (hash >>> 15) ^ end;
}

export function sameOctets(known: Uint8Array | null, buf: Uint8Array, start: number, end: number): boolean {
  if (known === null || known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== buf[start + i]) return false;
  return true;
}

export function sameText(known: string, buf: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known.charCodeAt(i) !== buf[start + i]) return false;
  return true;
}
