/**
 * Integers with a prefix, RFC 7541 section 5.1, as the encoder writes them. The decoder reads its own (decoder.ts).
 */

/** Octets that any integer of 31 bits needs at most. */
export const INTEGER_BOUND = 6;

/** Writes `value` behind the bits of `first` in a prefix of `bits` bits; returns the offset behind it. */
export function writeInteger(out: Uint8Array, at: number, first: number, bits: number, value: number): number {
  const full = (1 << bits) - 1;
  if (value < full) {
    out[at] = first | value;
    return at + 1;
  }
  out[at++] = first | full;
  value -= full;
  while (value >= 128) {
    out[at++] = (value & 127) | 128;
    value >>>= 7;
  }
  out[at] = value;
  return at + 1;
}
