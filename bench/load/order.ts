/** What the load client is told to do: travels as JSON on its stdin. Must not know proxies or scenarios' names. */
export interface LoadOrder {
  readonly port: number;
  readonly tls: boolean;
  readonly kind: "unary" | "server" | "client" | "bidi";
  readonly path: string;
  readonly connections: number;
  /** Calls at the same time on each connection. */
  readonly streams: number;
  readonly seconds: number;
  /** Stop after so many calls; 0 = when the time is over. */
  readonly calls: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
  readonly messages: number;
  readonly varying: boolean;
  /** Calls per second over all connections, on a fixed schedule; 0 = the next call starts when one ends. */
  readonly rate: number;
  /** Open loop: what never started when the time is over counts with the time it had waited; otherwise it starts late, or has failed. */
  readonly tolerant: boolean;
  /** Bulk streams on connections of their own, unmeasured, beside the measured calls. */
  readonly beside: number;
  /** Connections that only stay open. */
  readonly idle: number;
  /** Connections that each carry one call and come again, unmeasured, beside the measured calls. */
  readonly storm: number;
  /** Later TLS connections resume the session of earlier ones; one that does not is a failure. */
  readonly resume: boolean;
  readonly reconnect: boolean;
}
