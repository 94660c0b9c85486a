/**
 * What a field name means to the gateway, as a small integer, so that a pass over a header list switches on
 * integers and never compares names.
 *
 * Must not know: values, tables, streams. Governed by RFC 9113 section 8 and the gRPC-over-HTTP2 document.
 * Runs once per distinct name.
 */

export const FieldKind = {
  REGULAR: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  PROTOCOL: 6,
  UNKNOWN_PSEUDO: 7,
  /** connection, proxy-connection, keep-alive, transfer-encoding, upgrade (RFC 9113 8.2.2). */
  CONNECTION_SPECIFIC: 8,
  TE: 9,
  CONTENT_LENGTH: 10,
  CONTENT_TYPE: 11,
  HOST: 12,
  COOKIE: 13,
  /** authorization, proxy-authorization, set-cookie and the names given to FieldStore.markCredential. */
  CREDENTIAL: 14,
  X_FORWARDED_FOR: 15,
  GRPC_STATUS: 16,
  GRPC_MESSAGE: 17,
  GRPC_TIMEOUT: 18,
  USER_AGENT: 19,
  EXPECT: 20,
  TRAILER: 21,
  GRPC_ENCODING: 22,
  GRPC_STATUS_DETAILS: 23,
} as const;

const kinds = new Map<string, number>([
  [":method", FieldKind.METHOD],
  [":scheme", FieldKind.SCHEME],
  [":authority", FieldKind.AUTHORITY],
  [":path", FieldKind.PATH],
  [":status", FieldKind.STATUS],
  [":protocol", FieldKind.PROTOCOL],
  ["connection", FieldKind.CONNECTION_SPECIFIC],
  ["proxy-connection", FieldKind.CONNECTION_SPECIFIC],
  ["keep-alive", FieldKind.CONNECTION_SPECIFIC],
  ["transfer-encoding", FieldKind.CONNECTION_SPECIFIC],
  ["upgrade", FieldKind.CONNECTION_SPECIFIC],
  ["te", FieldKind.TE],
  ["content-length", FieldKind.CONTENT_LENGTH],
  ["content-type", FieldKind.CONTENT_TYPE],
  ["host", FieldKind.HOST],
  ["cookie", FieldKind.COOKIE],
  ["authorization", FieldKind.CREDENTIAL],
  ["proxy-authorization", FieldKind.CREDENTIAL],
  ["set-cookie", FieldKind.CREDENTIAL],
  ["x-forwarded-for", FieldKind.X_FORWARDED_FOR],
  ["grpc-status", FieldKind.GRPC_STATUS],
  ["grpc-message", FieldKind.GRPC_MESSAGE],
  ["grpc-timeout", FieldKind.GRPC_TIMEOUT],
  ["user-agent", FieldKind.USER_AGENT],
  ["expect", FieldKind.EXPECT],
  ["trailer", FieldKind.TRAILER],
  ["grpc-encoding", FieldKind.GRPC_ENCODING],
  ["grpc-status-details-bin", FieldKind.GRPC_STATUS_DETAILS],
]);

/** Every name that has a meaning of its own: a store keeps these for its whole life. */
export const knownNames: readonly string[] = [...kinds.keys()];

export function kindOfName(text: string): number {
  const known = kinds.get(text);
  if (known !== undefined) return known;
  return text.charCodeAt(0) === 0x3a ? FieldKind.UNKNOWN_PSEUDO : FieldKind.REGULAR;
}
