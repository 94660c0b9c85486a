// HTTP/1.1 on the ports of the gateway: health checks on the main port, the control API where it has no port of its own, and
// 505 for everything else, because calls need HTTP/2. Parsing is node:http's. Governed by RFC 9110 section 15.6.6 and
// Tyk's health answers. Never runs for a call.

import {
  type ClientRequest,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { LARGEST_BODY, TOO_LARGE } from "../../shared/control-body.js";
import type { HealthState } from "../../shared/messages.js";
import { isControlPath, PEER_FIELD } from "../call/control-request.js";

export interface Http1Questions {
  /** The answer to `path` on the main port, null where it is not a health check. */
  healthFor(path: string): HealthState["hello"] | null;
  /** Where the primary answers `/tyk/…`; empty where the control API has a port of its own. */
  controlSocket(): string;
}

const NEEDS_HTTP2 = `${JSON.stringify({ error: "This port speaks HTTP/2 only (with prior knowledge)" }, null, 4)}\n`;

/** A connection on which nothing passes for so long is closed, ms: more than the control API takes for an answer. */
const SILENCE = 120_000;

/** @param main tells whether the request came to the main port */
export function makeHttp1Server(questions: Http1Questions, main: (request: IncomingMessage) => boolean): Server {
  // Times for headers and requests would need a server that listens.
  const server = createServer({ keepAliveTimeout: 5_000, maxHeaderSize: 16_384 });
  server.timeout = SILENCE;
  server.on("request", (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0]!;
    const socketPath = questions.controlSocket();
    if (socketPath !== "" && isControlPath(path) && main(request)) return pass(request, response, socketPath);
    const health = main(request) ? questions.healthFor(path) : null;
    if (health === null) return send(response, 505, NEEDS_HTTP2, true);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return send(response, 405, `${JSON.stringify({ status: "error", message: "Method Not Allowed" })}\n`, true);
    }
    send(response, health.status, health.body, false);
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  return server;
}

/** The control API over HTTP/1.1, as Tyk's clients speak it. */
function pass(request: IncomingMessage, response: ServerResponse, socketPath: string): void {
  const { url, method } = request;
  // Kept open until the answer is here: a primary that was told to close does so while the request is still on its way.
  const headers = { ...request.headers, connection: "keep-alive", [PEER_FIELD]: request.socket.remoteAddress ?? "" };
  const onward = httpRequest({ socketPath, path: url, method, headers, agent: false }, (answer) => {
    const { connection: _ours, "keep-alive": _too, ...fields } = answer.headers;
    onceAsked(request, onward, () => {
      response.writeHead(answer.statusCode ?? 500, fields);
      answer.on("error", () => response.destroy());
      answer.pipe(response);
    });
  });
  let answered = false;
  onward.on("response", () => {
    answered = true;
  });
  onward.on("error", () => {
    if (answered) return;
    if (response.headersSent) response.destroy();
    else send(response, 500, `${JSON.stringify({ status: "error", message: "The primary does not answer" })}\n`, true);
  });
  response.on("close", () => onward.destroy());
  let passed = 0;
  request.on("data", (part: Buffer) => {
    passed += part.length;
    if (passed <= LARGEST_BODY || answered) return;
    answered = true;
    onward.destroy();
    onceAsked(request, onward, () =>
      send(response, 413, JSON.stringify({ status: "error", message: TOO_LARGE }), true),
    );
  });
  request.pipe(onward);
}

/** What is left of a request is read and thrown away first: who is cut off while it writes never reads its answer. */
function onceAsked(request: IncomingMessage, onward: ClientRequest, answer: () => void): void {
  if (request.complete) return answer();
  request.unpipe(onward);
  request.resume();
  request.once("end", answer);
}

function send(response: ServerResponse, status: number, body: string, close: boolean): void {
  if (close) response.setHeader("connection", "close");
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}
