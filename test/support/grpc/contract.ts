// Responsible for: the methods of the gRPC service that tests call, as paths and kinds. Messages are plain bytes.
// Must not know: which implementation serves or calls them; the same contract exists in Python beside this file.
// How often: tests only.

export interface Method {
  readonly name: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

const unary = (name: string): Method => ({ name, requestStream: false, responseStream: false });
const giving = (name: string): Method => ({ name, requestStream: false, responseStream: true });

export const METHODS = {
  /** The request comes back. */
  echo: unary("Echo"),
  /** A stream of messages → "count:bytes". */
  collect: { name: "Collect", requestStream: true, responseStream: false },
  /** "count:bytes" → so many messages of that size, each beginning with its number. */
  give: giving("Give"),
  /** Every message comes back as it arrives. */
  chat: { name: "Chat", requestStream: true, responseStream: true },
  /** No message, status OK. */
  nothing: giving("Nothing"),
  /** The request's x- fields as JSON [name, hex][]; they come back as initial metadata, and with y- as trailers. */
  mirror: unary("Mirror"),
  /** "code:message" → that status. */
  fail: unary("Fail"),
  /** As `fail`, after one message. */
  failLate: giving("FailLate"),
  /** "id" or "id:first" (which is answered by one message): never ends by itself. */
  hold: giving("Hold"),
  /** "id" → replies once the `hold` with that id was cancelled. */
  watch: unary("Watch"),
  /** "id:n" → replies once n calls with that id are here. */
  gather: unary("Gather"),
} as const satisfies Record<string, Method>;

export const fullPath = (service: string, method: Method): string => `/${service}/${method.name}`;

export const sameBytes = (bytes: Buffer): Buffer => bytes;
