// A request for `/tyk/…` on the main port, where the control API has no port of its own: handed to the primary over its
// local socket and answered with what it says. Parsing and framing are node:http's. Runs per request of an operator.

import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { LARGEST_BODY, TOO_LARGE } from "../../shared/control-body.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
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
  /** Octets of the body so far. */
  private passed = 0;

  constructor(relay: Relay, call: Call, list: FieldList, socketPath: string) {
    const { plan } = call;
    this.relay = relay;
    this.call = call;
    // Methods are told apart by their case, but not by node:http, which would ask for a tunnel.
    if (plan.method.toUpperCase() === "CONNECT") throw new Error("CONNECT is nothing that the control API answers");
    const headers = headersOf(list, plan);
    // A body without a length must be framed whatever the method: octets between two requests would be a request.
    if (!call.requestEnded && headers["content-length"] === undefined) headers["transfer-encoding"] = "chunked";
    // Kept open until the answer is here: a primary that was told to close does so while the request is still on its way.
    headers["connection"] = "keep-alive";
    this.request = httpRequest({ socketPath, method: plan.method, path: plan.path, headers, agent: false });
    this.request.on("error", (error) => {
      if (call.finished) return;
      relay.log.error({ err: error }, "the primary does not answer for the control API");
      relay.fail(call, ANSWERS.internal);
    });
    this.request.on("response", (response) => this.answer(response));
    if (call.requestEnded) this.request.end();
  }

  /** More of the body; the bytes are the request's from here. */
  data(bytes: Buffer, ends: boolean): void {
    this.passed += bytes.length;
    // Refused here: nothing is held for the primary that it would not read, and its answer has no write to race with.
    if (this.passed > LARGEST_BODY) return this.refuse();
    if (bytes.length > 0) this.request.write(bytes);
    if (ends) this.request.end();
  }

  /** The caller has gone. */
  abort(): void {
    this.request.destroy();
  }

  private refuse(): void {
    const body = JSON.stringify({ status: "error", message: TOO_LARGE });
    this.reply(413, "application/json", body);
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
    response.on("end", () => this.send(response, Buffer.concat(parts).toString("utf8")));
  }

  private send(response: IncomingMessage, body: string): void {
    const more = Object.entries(response.headers)
      .filter(([name]) => name.startsWith("x-"))
      .map(([name, value]) => [name, String(value)] as const);
    this.reply(response.statusCode ?? 500, response.headers["content-type"] ?? "application/json", body, more);
  }

  private reply(status: number, type: string, body: string, more: readonly (readonly [string, string])[] = []): void {
    const { call, relay } = this;
    if (call.finished) return;
    relay.finish(call);
    this.request.destroy();
    const { down } = call;
    if (down.state === State.CLOSED) return;
    const store = down.connection.shared.fields;
    const fields = more.map(([name, value]) => store.field(name, value));
    sendText(down, status, type, body, call.plan.head, false, fields);
    relay.linger(down);
  }
}

function headersOf(list: FieldList, plan: Plan): Record<string, string> {
  const headers: Record<string, string> = Object.assign(Object.create(null), { host: "localhost" });
  for (let i = 0; i < list.length; i++) {
    const { name, value } = list.fields[i]!;
    if (name.text.startsWith(":") || name.text === "host" || name.text === "te" || name.text === "expect") continue;
    headers[name.text] = name.text in headers ? `${headers[name.text]}, ${value}` : value;
  }
  headers[PEER_FIELD] = plan.origin.address;
  return headers;
}
