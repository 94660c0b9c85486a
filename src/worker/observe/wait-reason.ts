// Why a call does not go on just now, in one word that an operator can act on. Must not know: how it is shown.
// Governed by the order in which a call can be held up: before it goes out, on its way to the caller, to the service, and
// then by whoever has something to say. Runs: per stream of an inspection.

import type { Stream } from "../../shared/http2/stream.js";
import type { Call } from "../call/call.js";

/** Words and what they mean; docs/metrics.md lists them. */
export type WaitReason =
  | "gate"
  | "limits"
  | "retry"
  | "connection"
  | "turn"
  | "caller_credit"
  | "caller_connection_credit"
  | "caller_socket"
  | "service_credit"
  | "service_connection_credit"
  | "service_socket"
  | "caller"
  | "service"
  | "primary"
  | "nothing";

export function waitReason(call: Call): WaitReason {
  if (call.control !== null) return "primary";
  if (call.prepared === null) return "gate";
  if (call.limits !== null) return "limits";
  if (call.waitsToRetry) return "retry";
  if (call.waiting !== null) return "connection";
  const { up } = call;
  if (up === null) return "turn";
  const towardsCaller = held(call.down);
  if (towardsCaller !== "") return `caller_${towardsCaller}`;
  const towardsService = held(up);
  if (towardsService !== "") return `service_${towardsService}`;
  if (!call.responded) return call.requestEnded || call.down.received > 0 ? "service" : "caller";
  // Both may speak: the one that was silent while the other has finished.
  return "service";
}

/** Of a stream whose response is complete. */
export function endReason(down: Stream): WaitReason {
  const reason = held(down);
  return reason === "" ? "nothing" : `caller_${reason}`;
}

/** What keeps octets of the stream from leaving; empty when none wait. */
function held(stream: Stream): "" | "credit" | "connection_credit" | "socket" {
  const { queue, connection } = stream;
  if (queue === null || queue.bytes === 0) return "";
  if (stream.sendWindow <= 0) return "credit";
  return connection.sendWindow <= 0 ? "connection_credit" : "socket";
}
