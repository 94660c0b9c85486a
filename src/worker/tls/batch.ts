// What the loop and a thread that ends TLS say to each other in one turn, put together in one piece of memory that
// changes hands: a list of short orders, and behind it the octets they speak of.
// Responsible for the coding only. Must not know: sockets, threads, what an order leads to.
// A message costs both sides ten microseconds and more, whatever it holds: hence one a turn.
// Runs: a few times per read and write of a connection.

/** About one connection each, by its number. */
export const Order = {
  /** Octets that were read, or shall be written. */
  DATA: 1,
  /** So many octets of what came have left on the other side. */
  TOOK: 2,
  /** Nothing is written after this. */
  END: 3,
  /** The socket has closed, or shall at once. */
  GONE: 4,
  /** No connection: so many handshakes are under way on the thread. */
  PENDING: 5,
} as const;

const FIELDS = 3;
const WORD = 4;
const FIRST_OCTETS = 65_536;
/** A batch that grew beyond this is an exception, and its memory is not kept. */
const MOST_KEPT = 1_048_576;

export class Batch {
  private orders = new Int32Array(64 * FIELDS);
  private count = 0;
  private octets = Buffer.allocUnsafeSlow(FIRST_OCTETS);
  private used = 0;

  get empty(): boolean {
    return this.count === 0;
  }

  add(order: number, connection: number, value = 0): void {
    const at = this.count * FIELDS;
    if (at === this.orders.length) {
      const larger = new Int32Array(this.orders.length * 2);
      larger.set(this.orders);
      this.orders = larger;
    }
    this.orders[at] = order;
    this.orders[at + 1] = connection;
    this.orders[at + 2] = value;
    this.count++;
  }

  /** Copies: the caller's memory is its own again. */
  addData(connection: number, bytes: Uint8Array): void {
    this.add(Order.DATA, connection, bytes.length);
    if (this.used + bytes.length > this.octets.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.octets.length * 2, this.used + bytes.length));
      this.octets.copy(larger, 0, 0, this.used);
      this.octets = larger;
    }
    this.octets.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** What was added since the last time, in memory that may be given away. */
  take(): ArrayBuffer {
    const head = WORD + this.count * FIELDS * WORD;
    const message = Buffer.allocUnsafeSlow(head + this.used);
    const buffer = message.buffer as ArrayBuffer;
    const words = new Int32Array(buffer, 0, head / WORD);
    words[0] = this.count;
    words.set(this.orders.subarray(0, this.count * FIELDS), 1);
    this.octets.copy(message, head, 0, this.used);
    this.count = 0;
    this.used = 0;
    if (this.octets.length > MOST_KEPT) this.octets = Buffer.allocUnsafeSlow(FIRST_OCTETS);
    return buffer;
  }
}

/** @param obey is given the octets of DATA as a piece of the message, which is the receiver's own */
export function readBatch(
  message: ArrayBuffer,
  obey: (order: number, connection: number, value: number, bytes: Buffer) => void,
): void {
  const words = new Int32Array(message, 0, 1);
  const count = words[0]!;
  const orders = new Int32Array(message, WORD, count * FIELDS);
  let at = WORD + count * FIELDS * WORD;
  for (let n = 0; n < orders.length; n += FIELDS) {
    const order = orders[n]!;
    const value = orders[n + 2]!;
    const length = order === Order.DATA ? value : 0;
    obey(order, orders[n + 1]!, value, length === 0 ? NOTHING : Buffer.from(message, at, length));
    at += length;
  }
}

const NOTHING = Buffer.alloc(0);

/** As many octets of one connection are under way in one direction before its reading, or writing, waits. */
export const MOST_UNDER_WAY = 262_144;
/** What was taken is told in steps of this; less than that is never waited for. */
export const TOOK_STEP = 65_536;
