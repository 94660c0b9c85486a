// The first message of a TLS caller, read before anything is decided about the connection: which name it asks for,
// which protocols it speaks, under which keys its session tickets are.
// Responsible for the octets only, hostile ones included: bounded, may be cut anywhere, never throws. Must not know:
// sockets, contexts, certificates. Governed by RFC 8446 sections 4.1.2, 4.2.11 and 5.1, RFC 6066 section 3, RFC 5077
// section 3.2, RFC 7301. Runs once per connection, and again for every further piece of a hello that comes in pieces.

export interface ClientHello {
  /** Lower case, without the dot at its end; empty when none was sent. */
  readonly serverName: string;
  readonly protocols: readonly string[];
  /** The first 16 octets of every ticket offered, which is where the key's name stands. */
  readonly ticketKeyNames: readonly Buffer[];
}

/** MORE: whole so far, more is needed. Anything else that is not a hello ends the connection. */
export const HelloState = { MORE: 0, HELLO: 1, BROKEN: 2, TOO_LONG: 3, NOT_TLS: 4 } as const;

/** Room for keys of post-quantum exchanges and a handful of tickets; browsers stay under 3 KiB. */
export const MAX_HELLO = 16_384;
export const KEY_NAME = 16;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEAD = 5;
const RECORD_MAX = 16_384;
const MESSAGE_HEAD = 4;
const Extension = { SERVER_NAME: 0, ALPN: 16, SESSION_TICKET: 35, PRE_SHARED_KEY: 41 } as const;
const MAX_TICKETS = 8;

export interface ReadHello {
  readonly state: number;
  readonly hello: ClientHello | null;
}

const MORE: ReadHello = { state: HelloState.MORE, hello: null };
const BROKEN: ReadHello = { state: HelloState.BROKEN, hello: null };
const TOO_LONG: ReadHello = { state: HelloState.TOO_LONG, hello: null };
const NOT_TLS: ReadHello = { state: HelloState.NOT_TLS, hello: null };

/** @param seen everything received so far */
export function readClientHello(seen: Buffer): ReadHello {
  const reader = new HelloReader();
  reader.keep(seen);
  return reader.look();
}

/**
 * A hello that comes in pieces. Each octet is looked at once, however small the pieces and the records in them are: one
 * that costs a packet must not have everything before it read again.
 */
export class HelloReader {
  readonly #seen = new Octets();
  /** What the records carry, without their heads. */
  readonly #message = new Octets();
  /** How far `#seen` was read, and what of the record there is still to come. */
  #at = 0;
  #left = 0;

  /** Everything received so far. */
  get seen(): Buffer {
    return this.#seen.bytes;
  }

  keep(piece: Buffer): void {
    this.#seen.add(piece);
  }

  look(): ReadHello {
    const seen = this.#seen.bytes;
    // A first octet that is no handshake record is most often somebody who speaks cleartext to this port.
    if (seen.length > 0 && seen[0] !== HANDSHAKE) return NOT_TLS;
    while (this.#at < seen.length) {
      if (this.#left === 0) {
        const state = this.#head(seen);
        if (state !== HelloState.HELLO) return state === HelloState.MORE ? unfinished(seen) : BROKEN;
      }
      const end = Math.min(this.#at + this.#left, seen.length);
      this.#message.add(seen.subarray(this.#at, end));
      this.#left -= end - this.#at;
      this.#at = end;
      const found = this.#found();
      if (found !== MORE) return found;
    }
    return unfinished(seen);
  }

  /** Steps over the head of a record, which may be cut anywhere: HELLO when it is whole. */
  #head(seen: Buffer): number {
    const at = this.#at;
    if (seen[at] !== HANDSHAKE) return HelloState.BROKEN;
    if (at + 1 < seen.length && seen[at + 1] !== 3) return HelloState.BROKEN;
    if (at + RECORD_HEAD > seen.length) return HelloState.MORE;
    const length = seen.readUInt16BE(at + 3);
    if (length === 0 || length > RECORD_MAX) return HelloState.BROKEN;
    this.#at += RECORD_HEAD;
    this.#left = length;
    return HelloState.HELLO;
  }

  /** The message out of its records, which may cut it anywhere (RFC 8446 section 5.1). */
  #found(): ReadHello {
    const message = this.#message.bytes;
    if (message.length > 0 && message[0] !== CLIENT_HELLO) return BROKEN;
    if (message.length < MESSAGE_HEAD) return MORE;
    const wanted = MESSAGE_HEAD + message.readUIntBE(1, 3);
    if (wanted > MAX_HELLO) return TOO_LONG;
    if (message.length < wanted) return MORE;
    try {
      return { state: HelloState.HELLO, hello: parse(new Cursor(message.subarray(MESSAGE_HEAD, wanted))) };
    } catch (error) {
      if (error instanceof RangeError) return BROKEN;
      throw error;
    }
  }
}

function unfinished(seen: Buffer): ReadHello {
  return seen.length > 2 * MAX_HELLO ? TOO_LONG : MORE;
}

/** Octets that become more; room is doubled, so that each is copied a few times at most. */
class Octets {
  #room: Buffer = NONE;
  bytes: Buffer = NONE;

  add(piece: Buffer): void {
    const { length } = this.bytes;
    // The first piece is nearly always everything: it stays where it is.
    if (length === 0) {
      this.bytes = piece;
      return;
    }
    const needed = length + piece.length;
    if (needed > this.#room.length) {
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      this.bytes.copy(larger);
      this.#room = larger;
    }
    piece.copy(this.#room, length);
    this.bytes = this.#room.subarray(0, needed);
  }
}

const NONE = Buffer.alloc(0);

/** Reads forward and throws a RangeError past the end, as Buffer's own readers do. */
class Cursor {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  get left(): number {
    return this.bytes.length - this.at;
  }

  uint(size: 1 | 2): number {
    const value = this.bytes.readUIntBE(this.at, size);
    this.at += size;
    return value;
  }

  take(n: number): Buffer {
    if (n > this.left) throw new RangeError("past the end");
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }

  /** What a length of `size` octets announces. */
  inner(size: 1 | 2): Cursor {
    return new Cursor(this.take(this.uint(size)));
  }

  rest(): Buffer {
    return this.take(this.left);
  }
}

const VERSION_AND_RANDOM = 34;

function parse(body: Cursor): ClientHello {
  const found = { serverName: "", protocols: [] as string[], ticketKeyNames: [] as Buffer[] };
  body.take(VERSION_AND_RANDOM);
  body.inner(1); // legacy_session_id
  body.inner(2); // cipher_suites
  body.inner(1); // legacy_compression_methods
  // Without extensions it ends here, which TLS 1.2 allows.
  if (body.left === 0) return found;
  const extensions = body.inner(2);
  while (extensions.left > 0) {
    const type = extensions.uint(2);
    const content = extensions.inner(2);
    if (type === Extension.SERVER_NAME) found.serverName = serverName(content);
    else if (type === Extension.ALPN) found.protocols = protocols(content);
    else if (type === Extension.SESSION_TICKET) addKeyName(found.ticketKeyNames, content.rest());
    else if (type === Extension.PRE_SHARED_KEY) {
      const identities = content.inner(2);
      while (identities.left > 0) {
        addKeyName(found.ticketKeyNames, identities.inner(2).rest());
        identities.take(4); // obfuscated_ticket_age
      }
    }
  }
  return found;
}

function serverName(content: Cursor): string {
  const list = content.inner(2);
  while (list.left > 0) {
    const type = list.uint(1);
    const name = list.inner(2).rest();
    if (type === 0) return plainName(name);
  }
  return "";
}

/** A name that is none counts as not sent: it then meets the rules for callers without a name. */
function plainName(name: Buffer): string {
  const text = name.toString("latin1").toLowerCase().replace(/\.$/, "");
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(text) && text.length <= 253 ? text : "";
}

function protocols(content: Cursor): string[] {
  const list = content.inner(2);
  const found: string[] = [];
  while (list.left > 0) found.push(list.inner(1).rest().toString("latin1"));
  return found;
}

function addKeyName(names: Buffer[], ticket: Buffer): void {
  if (ticket.length >= KEY_NAME && names.length < MAX_TICKETS) names.push(ticket.subarray(0, KEY_NAME));
}
