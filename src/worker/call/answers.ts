// Every answer the gateway makes itself, in one table: the gRPC status for gRPC callers, the HTTP status and body for
// everybody else (Tyk's text), and what it is counted as. answer.ts puts them on the wire.

import { GrpcStatus } from "../../shared/grpc/status.js";

export interface Answer {
  readonly id: string;
  readonly grpc: number;
  readonly http: number;
  readonly message: string;
  /** Tyk answers an unknown path with plain text; all else is JSON. */
  readonly plain: boolean;
  /** It is the service, or the way to it, that failed. */
  readonly network?: boolean;
  /** Further fields of the answer, by name. */
  readonly fields?: Readonly<Record<string, string>>;
}

function row(id: string, grpc: number, http: number, message: string, plain = false): Answer {
  return { id, grpc, http, message, plain };
}

function failed(id: string, grpc: number, http: number, message: string): Answer {
  return { id, grpc, http, message, plain: false, network: true };
}

export const ANSWERS = {
  noRoute: row("no_route", GrpcStatus.UNIMPLEMENTED, 404, "Not Found", true),
  notPost: row("method", GrpcStatus.UNIMPLEMENTED, 405, "gRPC calls use the method POST"),
  methodNotAllowed: row("method", GrpcStatus.UNIMPLEMENTED, 405, "Method Not Allowed"),
  noTargetPath: row("rewrite_target", GrpcStatus.UNAVAILABLE, 502, "The rewritten address names no service"),
  storeAway: row("store", GrpcStatus.UNAVAILABLE, 503, "limits cannot be counted at the moment"),
  certificate: row("certificate", GrpcStatus.PERMISSION_DENIED, 403, "Client TLS certificate is required"),
  badRequest: row("bad_request", GrpcStatus.INVALID_ARGUMENT, 400, "Request malformed"),
  headersTooLarge: row("headers_too_large", GrpcStatus.RESOURCE_EXHAUSTED, 431, "Request header fields are too large"),
  unreachable: failed("unreachable", GrpcStatus.UNAVAILABLE, 503, "There was a problem proxying the request"),
  lookupFailed: failed("lookup", GrpcStatus.UNAVAILABLE, 502, "Upstream host lookup failed"),
  /** Tyk's words. */
  targetsDown: row("targets_down", GrpcStatus.UNAVAILABLE, 503, "all hosts are down"),
  queueFull: row("queue_full", GrpcStatus.UNAVAILABLE, 503, "Too many calls wait for this service"),
  refused: failed("refused", GrpcStatus.UNAVAILABLE, 503, "The service refused the call"),
  upstreamLost: failed("upstream_lost", GrpcStatus.UNAVAILABLE, 502, "The connection to the service was lost"),
  upstreamFault: failed("upstream_fault", GrpcStatus.UNAVAILABLE, 502, "The service broke the protocol"),
  badTimeout: row("bad_timeout", GrpcStatus.INTERNAL, 400, "malformed grpc-timeout"),
  /** The caller's own deadline. */
  deadline: row("deadline", GrpcStatus.DEADLINE_EXCEEDED, 504, "the deadline passed before the response was complete"),
  deadlineWaiting: row(
    "deadline_waiting",
    GrpcStatus.DEADLINE_EXCEEDED,
    504,
    "the deadline passed while the call waited in the gateway",
  ),
  /** The operator's bound; Tyk's text. */
  hardTimeout: row("hard_timeout", GrpcStatus.DEADLINE_EXCEEDED, 504, "Upstream service reached hard timeout."),
  circuitOpen: row("circuit_open", GrpcStatus.UNAVAILABLE, 503, "Service temporarily unavailable."),
  responseTooLarge: failed(
    "response_headers",
    GrpcStatus.RESOURCE_EXHAUSTED,
    502,
    "The service's header list is too large",
  ),
  shuttingDown: row("shutdown", GrpcStatus.UNAVAILABLE, 503, "Gateway is shutting down"),
  overloaded: row("overload", GrpcStatus.UNAVAILABLE, 503, "The gateway holds too much for slow receivers"),
  idle: row("idle", GrpcStatus.DEADLINE_EXCEEDED, 504, "The call was silent for too long"),
  internal: row("internal", GrpcStatus.INTERNAL, 500, "There was a problem proxying the request"),
} as const;
