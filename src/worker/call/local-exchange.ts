// A call that no service of a route answers: the control API of the main port, and the gateway's own health. Where a call's
// octets go then, and how it learns that its caller has gone. Runs: per request of an operator or a probe.

import type { Call } from "./call.js";

export interface LocalExchange {
  /** More of the body; the bytes are its own from here. */
  data(bytes: Buffer, ends: boolean): void;
  /** The caller has gone. */
  abort(): void;
}

/** Who answers `grpc.health.v1.Health` on the main port where no API claims it. */
export interface OwnHealth {
  begin(call: Call, watch: boolean): LocalExchange;
}
