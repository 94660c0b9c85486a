// The messages of grpc.health.v1 as octets: a request that is read without trusting it, and the few answers there are.
// Governed by the gRPC health checking protocol and the protobuf encoding. Must not know: HTTP/2, who is well.
// Runs: per question of a probe.

export const HEALTH_CHECK = "/grpc.health.v1.Health/Check";
export const HEALTH_WATCH = "/grpc.health.v1.Health/Watch";

export const Serving = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

const PREFIX = 5;
const SERVICE_FIELD = 0x0a;
/** Names of services are short. */
export const LONGEST_HEALTH_REQUEST = 1_024;

/** The service that is asked about; undefined for what is no such request. `framed`: all octets of its body. */
export function readHealthRequest(framed: Uint8Array): string | undefined {
  if (framed.length < PREFIX || framed[0] !== 0) return undefined;
  const length = new DataView(framed.buffer, framed.byteOffset).getUint32(1);
  if (framed.length !== PREFIX + length) return undefined;
  return length === 0 ? "" : readService(framed.subarray(PREFIX));
}

/** One field, as every client writes it; others are not known and not expected. */
function readService(message: Uint8Array): string | undefined {
  if (message[0] !== SERVICE_FIELD) return undefined;
  let length = 0;
  let at = 1;
  for (let shift = 0; shift < 21; shift += 7) {
    const octet = message[at++];
    if (octet === undefined) return undefined;
    length |= (octet & 0x7f) << shift;
    if (octet < 0x80) return at + length === message.length ? Buffer.from(message.subarray(at)).toString() : undefined;
  }
  return undefined;
}

/** A whole message with its prefix. */
export function healthAnswer(serving: number): Buffer {
  return Buffer.from([0, 0, 0, 0, 2, 0x08, serving]);
}
