// What a worker's loop and a thread that ends TLS tell each other besides batches (batch.ts).
// Responsible for the shapes only. Runs: once per connection, configuration and tick.

import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { TicketKeys, WorkerConfig } from "../../shared/messages.js";
import type { Transport } from "../downstream/transport.js";
import type { PeerCertificate } from "./peer-certificate.js";
import type { ThreadSocket } from "./thread-socket.js";

/** What a handshake hangs on; the rest of a configuration is no concern of the thread's. */
export type TlsConfig = Pick<WorkerConfig, "settings" | "definitions" | "ports" | "certificates">;

export type ToThread =
  | { readonly type: "configure"; readonly config: TlsConfig }
  | { readonly type: "tickets"; readonly keys: TicketKeys }
  /** Handshakes under way end; the connections go on. */
  | { readonly type: "close" };

export interface Opened {
  readonly type: "opened";
  readonly connection: number;
  readonly port: number;
  readonly address: string;
  readonly protocol: Transport["protocol"];
  readonly peer: SentPeer | null;
}

export type FromThread =
  /** It has a configuration. */
  | { readonly type: "ready" }
  | Opened
  /** Handshakes since it was last told. */
  | {
      readonly type: "counts";
      readonly full: number;
      readonly resumed: number;
      readonly failed: Record<string, number>;
    }
  | { readonly type: "log"; readonly level: "warn" | "debug"; readonly fields: object; readonly text: string };

/** Certificates cross as their octets. */
export interface SentPeer extends Omit<PeerCertificate, "leaf" | "others"> {
  readonly leaf: Uint8Array;
  readonly others: readonly Uint8Array[];
}

export function sentPeer(peer: PeerCertificate): SentPeer {
  return { ...peer, leaf: peer.leaf.raw, others: peer.others.map((one) => one.raw) };
}

function readPeer(sent: SentPeer): PeerCertificate {
  const read = (der: Uint8Array) => new X509Certificate(der);
  return { ...sent, leaf: read(sent.leaf), others: sent.others.map(read) };
}

/** The connection as its owner on the loop takes it over. */
export function transportOf({ protocol, peer }: Opened, socket: ThreadSocket): Transport {
  return {
    protocol,
    secure: true,
    peer: peer === null ? null : readPeer(peer),
    // What its owners use of a node:net socket is there.
    open: (buffer, callback) => socket.open(buffer, callback) as unknown as Socket,
  };
}
