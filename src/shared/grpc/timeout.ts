/**
 * grpc-timeout: at most eight digits and a unit, read from its octets or from text. Governed by the gRPC-over-HTTP2
 * document. Runs once per call that carries a deadline.
 */

const MOST = 99_999_999;
/** Milliseconds of the units from the largest on. */
const HOUR = 3_600_000;
const MINUTE = 60_000;
const SECOND = 1000;

/** A value that is longer is malformed. */
export const LONGEST_TIMEOUT = 9;
const octets = new Uint8Array(LONGEST_TIMEOUT);

/** As parseGrpcTimeoutOctets, of text. */
export function parseGrpcTimeout(value: string): number {
  const { length } = value;
  if (length > LONGEST_TIMEOUT) return -1;
  // A wider char is no digit and no unit, whatever its lower half is.
  for (let i = 0; i < length; i++) octets[i] = Math.min(255, value.charCodeAt(i));
  return parseGrpcTimeoutOctets(octets, length);
}

/**
 * Milliseconds, rounded up so that a call is never cut before its deadline; -1 where the value is malformed. Zero is a
 * deadline that has passed.
 */
export function parseGrpcTimeoutOctets(value: Uint8Array, length: number): number {
  const digits = length - 1;
  if (digits < 1 || length > LONGEST_TIMEOUT) return -1;
  let amount = 0;
  for (let i = 0; i < digits; i++) {
    const digit = value[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    amount = amount * 10 + digit;
  }
  switch (value[digits]!) {
    case 0x48: // H
      return amount * HOUR;
    case 0x4d: // M
      return amount * MINUTE;
    case 0x53: // S
      return amount * SECOND;
    case 0x6d: // m
      return amount;
    case 0x75: // u
      return Math.ceil(amount / 1000);
    case 0x6e: // n
      return Math.ceil(amount / 1_000_000);
    default:
      return -1;
  }
}

/**
 * The value for so many milliseconds: the largest unit that says it exactly; where more than eight digits would be
 * needed, the next larger unit, rounded down so that the receiver never outlives the sender.
 */
export function formatGrpcTimeout(milliseconds: number): string {
  const amount = Math.max(0, Math.floor(milliseconds));
  if (amount === 0) return "0m";
  if (amount % HOUR === 0 && amount / HOUR <= MOST) return `${amount / HOUR}H`;
  if (amount % MINUTE === 0 && amount / MINUTE <= MOST) return `${amount / MINUTE}M`;
  if (amount % SECOND === 0 && amount / SECOND <= MOST) return `${amount / SECOND}S`;
  if (amount <= MOST) return `${amount}m`;
  if (amount / SECOND <= MOST) return `${Math.floor(amount / SECOND)}S`;
  if (amount / MINUTE <= MOST) return `${Math.floor(amount / MINUTE)}M`;
  return `${Math.min(MOST, Math.floor(amount / HOUR))}H`;
}
