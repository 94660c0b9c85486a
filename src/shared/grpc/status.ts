/**
 * gRPC status codes, their names, and how HTTP answers become one. Governed by the gRPC-over-HTTP2 document and its
 * table "HTTP to gRPC Status Code Mapping". Runs once per answer that is not gRPC's own.
 */

export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const names: readonly string[] = Object.keys(GrpcStatus);

/** The name of a code; a code outside the registry reads as UNKNOWN, as clients treat it. */
export function grpcStatusName(code: number): string {
  return names[code] ?? "UNKNOWN";
}

/** The status a client derives from an HTTP answer that carries none. */
export function grpcStatusOfHttp(status: number): number {
  switch (status) {
    case 400:
      return GrpcStatus.INTERNAL;
    case 401:
      return GrpcStatus.UNAUTHENTICATED;
    case 403:
      return GrpcStatus.PERMISSION_DENIED;
    case 404:
      return GrpcStatus.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.UNAVAILABLE;
    default:
      return GrpcStatus.UNKNOWN;
  }
}

/** The status that stands for a stream reset with this HTTP/2 error code. */
export function grpcStatusOfReset(code: number): number {
  switch (code) {
    case 0x7: // REFUSED_STREAM
      return GrpcStatus.UNAVAILABLE;
    case 0x8: // CANCEL
      return GrpcStatus.CANCELLED;
    case 0xb: // ENHANCE_YOUR_CALM
      return GrpcStatus.RESOURCE_EXHAUSTED;
    case 0xc: // INADEQUATE_SECURITY
      return GrpcStatus.PERMISSION_DENIED;
    default:
      return GrpcStatus.INTERNAL;
  }
}

/** The code in a grpc-status value: one or two digits without a leading zero, 0 to 16; otherwise UNKNOWN. */
export function parseGrpcStatus(value: string): number {
  const first = value.charCodeAt(0) - 0x30;
  if (value.length === 1 && first >= 0 && first <= 9) return first;
  const second = value.charCodeAt(1) - 0x30;
  return value.length === 2 && first === 1 && second >= 0 && second <= 6 ? 10 + second : GrpcStatus.UNKNOWN;
}
