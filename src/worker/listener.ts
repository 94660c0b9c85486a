// Accepting in the worker itself, on a socket that the primary bound and shares (accept mode "shared").
// Responsible for the listening handles of this process. Must not know: what becomes of a connection.
// A net.Server would do, but node:cluster turns its listen() into a request to the primary's own listener, which
// closes the port with its last worker; and its sockets take no read buffer of ours.
// Runs: once per new connection.

import type { TcpHandle } from "../shared/messages.js";

// The kernel cuts this to net.core.somaxconn; it only has to be no smaller than what operators set there.
const BACKLOG = 4_096;

interface Shared {
  readonly handle: TcpHandle;
  readonly port: number;
  accepting: boolean;
}

export class Listeners {
  #shared: Shared[] = [];

  /** Nothing is accepted on it before start(). */
  add(handle: TcpHandle, port: number): void {
    this.#shared.push({ handle, port, accepting: false });
  }

  /** Returns 0 or the negative errno of the first listen() that failed. */
  start(accept: (connection: TcpHandle, port: number) => void): number {
    let failure = 0;
    for (const shared of this.#shared) {
      const { handle, port } = shared;
      if (shared.accepting) continue;
      shared.accepting = true;
      // A negative status is a connection that went away or a missing descriptor: there is nothing to own.
      handle.onconnection = (status, connection) => {
        if (status === 0 && connection !== undefined) accept(connection, port);
      };
      failure ||= handle.listen(BACKLOG);
    }
    return failure;
  }

  /** The port is no longer served. */
  closePort(port: number): void {
    for (const shared of this.#shared) if (shared.port === port) shared.handle.close();
    this.#shared = this.#shared.filter((shared) => shared.port !== port);
  }

  close(): void {
    for (const { handle } of this.#shared.splice(0)) handle.close();
  }
}
