// The ports of the data plane: bound here, before any worker starts, and kept whatever happens to workers.
// Responsible for binding, accepting in the primary, closing. Must not know: workers, a connection's bytes.
// Bare handles as node:cluster itself uses them: a net.Socket per connection would cost the primary tens of
// microseconds and could read what is not its own.
// Runs: once per new connection in the accept modes where the primary accepts.

import { lookup } from "node:dns/promises";
import net from "node:net";
import { getSystemErrorMap } from "node:util";
import type { Port, TcpHandle } from "../shared/messages.js";
import type { Connection } from "./worker-process.js";

// The kernel cuts this to net.core.somaxconn; it only has to be no smaller than what operators set there.
const BACKLOG = 4_096;
const EADDRINUSE = -98;

type CreateServerHandle = (address: string, port: number, family: 4 | 6) => TcpHandle | number;
// Exported by node:net for node:cluster; not in the published types.
const createServerHandle = (net as unknown as { _createServerHandle: CreateServerHandle })._createServerHandle;

/** An operator's mistake or a busy port: the message is the whole story, no stack needed. */
export class ListenError extends Error {
  static of(error: unknown, address: string, port: number, setting: string): ListenError {
    if (error instanceof ListenError) return error;
    const errno = (error as NodeJS.ErrnoException).errno;
    if (typeof errno === "number") return listenError(errno, address, port, setting);
    return new ListenError(`cannot listen on ${at(address, port)} (${setting}): ${String(error)}`);
  }
}

export interface Listener {
  readonly port: Port;
  /** As bound: a name has become an address. */
  readonly address: string;
  readonly handle: TcpHandle;
}

/** Which setting asked for a port, for the line that says it is busy. */
export type SettingOf = (port: Port) => string;

export class Listeners {
  readonly #open: Listener[] = [];

  get open(): readonly Listener[] {
    return this.#open;
  }

  /** Binds every port or none. */
  async bind(ports: readonly Port[], settingOf: SettingOf): Promise<void> {
    await this.bindMore(ports, settingOf);
  }

  /** Binds what is not open yet, every one of it or nothing; answers what is new. */
  async bindMore(ports: readonly Port[], settingOf: SettingOf): Promise<readonly Listener[]> {
    const missing = ports.filter((port) => !this.#open.some((listener) => isSame(listener.port, port)));
    const fresh: Listener[] = [];
    try {
      for (const port of missing) fresh.push(await bindOne(port, settingOf(port)));
    } catch (error) {
      for (const { handle } of fresh) handle.close();
      throw error;
    }
    this.#open.push(...fresh);
    return fresh;
  }

  /** Closes what is not among these ports; answers what was closed. */
  keepOnly(ports: readonly Port[]): readonly Listener[] {
    const gone = this.#open.filter((listener) => !ports.some((port) => isSame(listener.port, port)));
    for (const listener of gone) {
      this.#open.splice(this.#open.indexOf(listener), 1);
      listener.handle.close();
    }
    return gone;
  }

  /** The primary accepts: each connection comes with nothing read from it. */
  accept(place: (connection: Connection) => void, settingOf: SettingOf, fresh = this.open): void {
    for (const { handle, port, address } of fresh) {
      // A negative status is a connection that went away or a missing descriptor: there is nothing to own.
      handle.onconnection = (status, connection) => {
        if (status === 0 && connection !== undefined) place({ handle: connection, port: port.port });
      };
      const failure = handle.listen(BACKLOG);
      if (failure !== 0) throw listenError(failure, address, port.port, settingOf(port));
    }
  }

  close(): void {
    for (const { handle } of this.#open.splice(0)) handle.close();
  }
}

/** What is spoken on a port may change while it stays open. */
function isSame(one: Port, other: Port): boolean {
  return one.port === other.port && one.address === other.address;
}

async function bindOne(port: Port, setting: string): Promise<Listener> {
  const handle = await open(port.address, port.port, setting);
  const bound: { address?: string; port?: number } = {};
  // A busy port is not told by bind() but by the next call on the socket.
  const failure = handle.getsockname(bound);
  if (failure === 0 && bound.port === port.port) {
    return { port, address: port.address === "" ? "" : (bound.address ?? port.address), handle };
  }
  handle.close();
  throw listenError(failure === 0 ? EADDRINUSE : failure, port.address, port.port, setting);
}

// Every address means IPv6 with IPv4 inside it, or IPv4 alone on a host without IPv6.
async function open(address: string, port: number, setting: string): Promise<TcpHandle> {
  if (address === "") {
    const both = createServerHandle("::", port, 6);
    if (typeof both !== "number") return both;
  }
  const [host, family] = await resolve(address === "" ? "0.0.0.0" : address, port, setting);
  const handle = createServerHandle(host, port, family);
  if (typeof handle === "number") throw listenError(handle, address, port, setting);
  return handle;
}

async function resolve(address: string, port: number, setting: string): Promise<[string, 4 | 6]> {
  try {
    const found = await lookup(address);
    return [found.address, found.family === 6 ? 6 : 4];
  } catch {
    throw new ListenError(`cannot listen on ${at(address, port)} (${setting}): the address is not known`);
  }
}

function listenError(errno: number, address: string, port: number, setting: string): ListenError {
  const [name = `error ${errno}`, sentence = ""] = getSystemErrorMap().get(errno) ?? [];
  const why = name === "EADDRINUSE" ? "another process has this port" : `${sentence} (${name})`;
  return new ListenError(`cannot listen on ${at(address, port)} (${setting}): ${why}`);
}

/** An address and a port as people write them; no address means all. */
export function at(address: string, port: number): string {
  if (address === "") return `*:${port}`;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
