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
  // A first octet that is no handshake record is most often somebody who speaks cleartext to this port.
  if (seen.length > 0 && seen[0] !== HANDSHAKE) return NOT_TLS;
  const message = gather(seen);
  if (!Buffer.isBuffer(message)) return message;
  try {
    return { state: HelloState.HELLO, hello: parse(new Cursor(message)) };
  } catch (error) {
    if (error instanceof RangeError) return BROKEN;
    throw error;
  }
}

/** The message out of its records, which may cut it anywhere (RFC 8446 section 5.1). */
function gather(seen: Buffer): Buffer | ReadHello {
  const parts: Buffer[] = [];
  let have = 0;
  for (let at = 0; at < seen.length; ) {
    if (seen[at] !== HANDSHAKE) return BROKEN;
    if (at + 1 < seen.length && seen[at + 1] !== 3) return BROKEN;
    if (at + RECORD_HEAD > seen.length) break;
    const length = seen.readUInt16BE(at + 3);
    if (length === 0 || length > RECORD_MAX) return BROKEN;
    const part = seen.subarray(at + RECORD_HEAD, Math.min(at + RECORD_HEAD + length, seen.length));
    parts.push(part);
    have += part.length;
    const first = parts[0]!;
    if (first.length > 0 && first[0] !== CLIENT_HELLO) return BROKEN;
    if (have >= MESSAGE_HEAD) {
      const all = parts.length === 1 ? first : Buffer.concat(parts, have);
      const wanted = MESSAGE_HEAD + all.readUIntBE(1, 3);
      if (wanted > MAX_HELLO) return TOO_LONG;
      if (have >= wanted) return all.subarray(MESSAGE_HEAD, wanted);
      parts.splice(0, parts.length, all);
    }
    at += RECORD_HEAD + length;
  }
  return seen.length > 2 * MAX_HELLO ? TOO_LONG : MORE;
}

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
