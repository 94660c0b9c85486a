// Follows the gRPC length prefix through a body, to know whether it stands between two messages, where alone a gateway
// that loses the service can still end the call with trailers, and how many there were. Governed by the gRPC protocol
// document (Length-Prefixed-Message). Most DATA is whole messages, which `wholeMessages` counts without remembering
// anything; a meter is made when a frame ends inside one. Runs once per DATA frame of a gRPC call.

const PREFIX = 5;

/** How many messages the octets are; -1 when they end inside one. Only where a message begins. */
export function wholeMessages(buf: Buffer, start: number, end: number): number {
  let at = start;
  let messages = 0;
  while (end - at >= PREFIX) {
    at += PREFIX + length(buf, at + 1);
    messages++;
  }
  return at === end ? messages : -1;
}

export class MessageMeter {
  /** Messages whose prefix has come. */
  messages = 0;
  /** Octets of the current message that have not come yet. */
  protected left = 0;
  /** Octets of a cut prefix that have come. */
  protected have = 0;
  protected value = 0;

  get atBoundary(): boolean {
    return this.left === 0 && this.have === 0;
  }

  pass(buf: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.left > 0) {
        const n = Math.min(this.left, end - at);
        this.left -= n;
        at += n;
      } else if (this.have === 0 && end - at >= PREFIX) {
        this.left = length(buf, at + 1);
        this.messages++;
        at += PREFIX;
      } else this.prefixOctet(buf[at++]!);
    }
  }

  /** One octet of a prefix. @returns true when it was the last */
  protected prefixOctet(octet: number): boolean {
    this.value = this.have === 0 ? 0 : this.value * 256 + octet;
    if (++this.have < PREFIX) return false;
    this.left = this.value;
    this.have = 0;
    this.messages++;
    return true;
  }
}

function length(buf: Buffer, at: number): number {
  return ((buf[at]! << 24) | (buf[at + 1]! << 16) | (buf[at + 2]! << 8) | buf[at + 3]!) >>> 0;
}
