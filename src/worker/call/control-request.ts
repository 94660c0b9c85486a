// A request for `/tyk/…` on the main port, where the control API has no port of its own: handed to the primary over its
// local socket and answered with what it says. Parsing and framing are node:http's. Runs per request of an operator.

import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import { sendText } from "./answer.js";
import { ANSWERS } from "./answers.js";
import type { Call } from "./call.js";
import type { LocalExchange } from "./local-exchange.js";
import type { Plan } from "./plan.js";
import type { Relay } from "./relay.js";

/** Who asked, in words only the primary hears; a caller's own field of this name goes no further. */
export const PEER_FIELD = "x-sluice-peer";
/** A list of keys may be long; an answer beyond this is a fault. */
const LARGEST_ANSWER = 64 * 1_024 * 1_024;

/** Where `/tyk` and everything below it is answered by the primary. */
export function isControlPath(path: string): boolean {
  return path === "/tyk" || path.startsWith("/tyk/") || path.startsWith("/tyk?");
}

export class ControlRequest implements LocalExchange {
  private readonly relay: Relay;
  private readonly call: Call;
  private readonly request: ClientRequest;

  constructor(relay: Relay, call: Call, list: FieldList, socketPath: string) {
    const { plan } = call;
    this.relay = relay;
    this.call = call;
    const headers = headersOf(list, plan);
    // A body without a length must be framed whatever the method: octets between two requests would be a request.
    if (!call.requestEnded && headers["content-length"] === undefined) headers["transfer-encoding"] = "chunked";
    this.request = httpRequest({ socketPath, method: plan.method, path: plan.path, headers, agent: false });
    this.request.on("error", (error) => {
      relay.log.error({ err: error }, "the primary does not answer for the control API");
      relay.fail(call, ANSWERS.internal);
    });
    this.request.on("response", (response) => this.answer(response));
    if (call.requestEnded) this.request.end();
  }

  /** More of the body; the bytes are the request's from here. */
  data(bytes: Buffer, ends: boolean): void {
    if (bytes.length > 0) this.request.write(bytes);
    if (ends) this.request.end();
  }

  /** The caller has gone. */
  abort(): void {
    this.request.destroy();
  }

  private answer(response: IncomingMessage): void {
    const parts: Buffer[] = [];
    let length = 0;
    response.on("data", (part: Buffer) => {
      length += part.length;
      if (length > LARGEST_ANSWER) response.destroy(new Error("the answer is too large"));
      else parts.push(part);
    });
    response.on("error", () => this.relay.fail(this.call, ANSWERS.internal));
    response.on("end", () => this.send(this.call.down, response, Buffer.concat(parts).toString("utf8")));
  }

  private send(down: Stream, response: IncomingMessage, body: string): void {
    const { call, relay } = this;
    if (call.finished) return;
    relay.finish(call);
    if (down.state === State.CLOSED) return;
    const store = down.connection.shared.fields;
    const more = Object.entries(response.headers)
      .filter(([name]) => name.startsWith("x-"))
      .map(([name, value]) => store.field(name, String(value)));
    const type = response.headers["content-type"] ?? "application/json";
    sendText(down, response.statusCode ?? 500, type, body, call.plan.head, false, more);
    relay.linger(down);
  }
}

function headersOf(list: FieldList, plan: Plan): Record<string, string> {
  const headers: Record<string, string> = { host: "localhost" };
  for (let i = 0; i < list.length; i++) {
    const { name, value } = list.fields[i]!;
    if (name.text.startsWith(":") || name.text === "host" || name.text === "te" || name.text === "expect") continue;
    headers[name.text] = name.text in headers ? `${headers[name.text]}, ${value}` : value;
  }
  headers[PEER_FIELD] = plan.origin.address;
  return headers;
}
