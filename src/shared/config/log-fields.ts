// The fields that a line of the access log may have, in Tyk's names where it has one. Runs: at start.

export const LOG_FIELDS = [
  "api_id",
  "api_name",
  /** The key's alias, or the beginning of its hash. */
  "api_key",
  "client_ip",
  "port",
  "stream",
  "method",
  /** Without its query. */
  "path",
  /** HTTP's; of gRPC calls 200. */
  "status",
  "grpc_status",
  /** service, network, gateway or caller. */
  "ended_by",
  /** Which rule, limit or timer; absent where the service's response did. */
  "reason",
  /** Ms since the request came, and since it was sent to the service. */
  "latency_total",
  "upstream_latency",
  "upstream_addr",
  "bytes_in",
  "bytes_out",
  "messages_in",
  "messages_out",
  /** Where there was more than one. */
  "attempts",
  "request_id",
  "trace_id",
] as const;

export type LogField = (typeof LOG_FIELDS)[number];
