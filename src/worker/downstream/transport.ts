// What a caller's connection runs on: a socket that is read into buffers of ours, in the clear or inside TLS.
// Must not know: what is read. Runs once per connection.

import { Socket } from "node:net";
import type { TcpHandle } from "../../shared/messages.js";
import type { PeerCertificate } from "../tls/peer-certificate.js";

export interface Transport {
  /** What was negotiated; empty in the clear, where the first octets tell. */
  readonly protocol: "" | "h2" | "http/1.1";
  readonly secure: boolean;
  /** The certificate whose key the caller proved to hold. */
  readonly peer: PeerCertificate | null;
  /** Called once. `buffer` is where the next octets go, `callback` is told how many came and may answer false to pause. */
  open(buffer: () => Buffer, callback: (n: number) => boolean): Socket;
}

export function plainTransport(handle: TcpHandle): Transport {
  return {
    protocol: "",
    secure: false,
    peer: null,
    // The types of Node do not know `handle`; node:cluster and child_process build sockets in this way.
    open: (buffer, callback) => new Socket({ handle, onread: { buffer, callback } } as object),
  };
}
