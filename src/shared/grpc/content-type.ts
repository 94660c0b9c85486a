/**
 * Whether a content-type is gRPC's: application/grpc alone, with a +suffix or with parameters; not application/grpc-web.
 * Governed by the gRPC-over-HTTP2 document. Runs once per distinct content-type.
 */

const PREFIX = "application/grpc";

export function isGrpcContentType(value: string): boolean {
  if (value.length < PREFIX.length) return false;
  if (value.slice(0, PREFIX.length).toLowerCase() !== PREFIX) return false;
  if (value.length === PREFIX.length) return true;
  let at = PREFIX.length;
  const next = value.charCodeAt(at);
  // RFC 9110 8.3.1: blanks may stand before the semicolon of a parameter.
  if (next === 0x2b) return value.length > at + 1 && value.charCodeAt(at + 1) !== 0x3b;
  while (value.charCodeAt(at) === 0x20 || value.charCodeAt(at) === 0x09) at++;
  return at === value.length || value.charCodeAt(at) === 0x3b;
}
