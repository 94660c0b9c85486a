// The taking end of the pipe over which connections are given: to a worker, or to a thread that ends TLS.
// Responsible for reading them and for saying how many it has. Must not know: what becomes of a connection.
// Contract: src/shared/hand-over.ts. A message is the port in two octets beside one descriptor, and one read never
// brings more than one descriptor; a receipt is the count since the beginning in four octets, little end first.
// Runs: once per placed connection; a receipt once a turn.

import { writeSync } from "node:fs";
import type { PipeHandle, TcpHandle } from "../shared/messages.js";

/** As node:child_process numbers the pipes that carry descriptors. */
const IPC = 2;

export interface ReadingHandle extends PipeHandle {
  open(fd: number): number;
  pendingHandle: TcpHandle | null;
}

export type PipeConstructor = new (type: number) => ReadingHandle;

export class TakeOver {
  readonly #accept: (connection: TcpHandle, port: number) => void;
  readonly #pipe: ReadingHandle;
  readonly #fd: number;
  readonly #confirm = (): void => this.#receipt();
  #scheduled = false;
  adopted = 0;

  /** @param fd is never closed by whoever gave its number: two handles have it */
  constructor(fd: number, Pipe: PipeConstructor, accept: (connection: TcpHandle, port: number) => void) {
    this.#accept = accept;
    this.#fd = fd;
    this.#pipe = new Pipe(IPC);
    this.#pipe.onread = (bytes) => this.#read(bytes);
    this.#pipe.open(fd);
    this.#pipe.readStart();
  }

  #read(bytes: ArrayBuffer | undefined): void {
    const connection = this.#pipe.pendingHandle;
    this.#pipe.pendingHandle = null;
    if (bytes === undefined) {
      this.#pipe.readStop();
      return;
    }
    this.adopted += 1;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#confirm);
    }
    // Without a descriptor (this process has none left) the connection is over: the primary lets go of it as well.
    if (connection !== null && connection !== undefined) this.#accept(connection, Buffer.from(bytes).readUInt16BE());
  }

  /** Still in the turn that brought them, so before an octet of them is read: until then others could have had them. */
  #receipt(): void {
    this.#scheduled = false;
    const octets = Buffer.allocUnsafe(4);
    octets.writeUInt32LE(this.adopted);
    try {
      writeSync(this.#fd, octets);
    } catch {
      // The primary does not read just now, or is gone: the next receipt and each load report count from the beginning.
    }
  }
}
