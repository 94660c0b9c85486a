// grpc.health.v1.Health on the control port: Check and Watch about "", the gateway as a whole; for probes that speak gRPC.
// Needs no secret, as /ready does not. Responsible for the two methods and for the bound on who watches.
// Must not know: why the gateway is ready or not. Governed by the gRPC health checking protocol. Runs: per question of a
// probe, and per change.

import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import {
  HEALTH_CHECK,
  HEALTH_WATCH,
  healthAnswer,
  LONGEST_HEALTH_REQUEST,
  readHealthRequest,
  Serving,
} from "../../shared/grpc/health.js";
import { GrpcStatus } from "../../shared/grpc/status.js";

const MOST_WATCHERS = 256;

export class HealthService {
  readonly #serves: () => boolean;
  /** And what each was told last. */
  readonly #watchers = new Map<Http2ServerResponse, number>();

  constructor(serves: () => boolean) {
    this.#serves = serves;
  }

  /** @returns false for what is not for it */
  takes(request: Http2ServerRequest, response: Http2ServerResponse): boolean {
    const { url } = request;
    if (request.method !== "POST" || (url !== HEALTH_CHECK && url !== HEALTH_WATCH)) return false;
    // A caller that goes in the middle is nobody's fault.
    response.stream.on("error", () => {});
    read(request, (body) => this.#asked(response, url === HEALTH_WATCH, readHealthRequest(body)));
    return true;
  }

  changed(): void {
    for (const [response, told] of this.#watchers)
      if (told !== Serving.SERVICE_UNKNOWN && told !== this.#serving) this.#tell(response, this.#serving);
  }

  end(): void {
    for (const response of this.#watchers.keys()) finish(response, GrpcStatus.UNAVAILABLE, "Gateway is shutting down");
    this.#watchers.clear();
  }

  get #serving(): number {
    return this.#serves() ? Serving.SERVING : Serving.NOT_SERVING;
  }

  #asked(response: Http2ServerResponse, watch: boolean, service: string | undefined): void {
    if (response.stream.destroyed) return;
    response.writeHead(200, { "content-type": "application/grpc" });
    if (service === undefined) finish(response, GrpcStatus.INTERNAL, "malformed HealthCheckRequest");
    else if (watch) this.#watch(response, service === "" ? this.#serving : Serving.SERVICE_UNKNOWN);
    else if (service !== "") finish(response, GrpcStatus.NOT_FOUND, "unknown service");
    else {
      response.write(healthAnswer(this.#serving));
      finish(response, GrpcStatus.OK, "");
    }
  }

  #watch(response: Http2ServerResponse, serving: number): void {
    if (this.#watchers.size >= MOST_WATCHERS)
      return finish(response, GrpcStatus.RESOURCE_EXHAUSTED, "too many watch the gateway's health");
    // Silence is good news here: the connection stays although nothing is said.
    response.stream.session?.setTimeout(0);
    response.on("close", () => this.#watchers.delete(response));
    this.#tell(response, serving);
  }

  #tell(response: Http2ServerResponse, serving: number): void {
    this.#watchers.set(response, serving);
    response.write(healthAnswer(serving));
  }
}

function finish(response: Http2ServerResponse, status: number, message: string): void {
  const trailers = { "grpc-status": String(status) };
  response.addTrailers(message === "" ? trailers : { ...trailers, "grpc-message": message });
  response.end();
}

/** What is too long for such a request is cut short, and then is none. */
function read(request: Http2ServerRequest, done: (body: Buffer) => void): void {
  const parts: Buffer[] = [];
  let length = 0;
  request.on("data", (part: Buffer) => {
    length += part.length;
    if (length <= LONGEST_HEALTH_REQUEST) parts.push(part);
  });
  request.on("end", () => done(length > LONGEST_HEALTH_REQUEST ? Buffer.alloc(0) : Buffer.concat(parts)));
}
