/** The header fields of the client's calls, per connection, with or without values that change every time. Runs once per call. */
import { type HeaderEncoder, SentField } from "./header-encoder.js";
import type { LoadOrder } from "./order.js";
import { keyOfCall, keyToken } from "./token.js";

const BLOCK_LIMIT = 2048;
const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const hex = (value: number): string =>
  BYTES[value >>> 24]! + BYTES[(value >> 16) & 255]! + BYTES[(value >> 8) & 255]! + BYTES[value & 255]!;

export class RequestHeaders {
  readonly #encoder: HeaderEncoder;
  readonly #fields: SentField[];
  readonly #timeout = new SentField("grpc-timeout", "");
  readonly #trace = new SentField("traceparent", "");
  readonly #authorization = new SentField("authorization", "");
  readonly #authorizations: readonly string[];
  readonly #keys: number;
  readonly #varying: boolean;
  readonly #scratch = Buffer.allocUnsafe(BLOCK_LIMIT);
  #steady: Buffer = Buffer.alloc(0);
  #steadyVersion = -1;

  constructor(order: LoadOrder, encoder: HeaderEncoder) {
    this.#encoder = encoder;
    this.#varying = order.varying;
    this.#fields = [
      new SentField(":method", "POST"),
      new SentField(":scheme", order.tls ? "https" : "http"),
      new SentField(":path", order.path),
      new SentField(":authority", `127.0.0.1:${order.port}`),
      new SentField("content-type", "application/grpc"),
      new SentField("te", "trailers"),
      new SentField("user-agent", "grpc-bench/1.0"),
      new SentField("grpc-accept-encoding", "identity,deflate,gzip"),
    ];
    if (order.varying) this.#fields.push(this.#timeout, this.#trace);
    this.#authorizations = order.authorizations ?? [];
    this.#keys = order.keys ?? 0;
    if (this.#authorizations.length + this.#keys > 0) this.#fields.push(this.#authorization);
  }

  /** The block for call number `serial`; good until the next call of this function. */
  block(serial: number): Buffer {
    const length = this.#keys + this.#authorizations.length;
    // Never indexed: every call carries it as a literal, so a block is only as steady as there is one value.
    if (length > 0) this.#authorization.value = this.#authorizationOf(serial);
    if (this.#varying) {
      this.#timeout.change(`${10_000_000 + (serial % 20_000_000)}u`);
      const mixed = Math.imul(serial, 0x9e3779b1);
      this.#trace.change(
        `00-${hex(mixed)}${hex(~mixed)}${hex(serial)}${hex(mixed ^ serial)}-${hex(serial)}${hex(mixed)}-01`,
      );
    } else if (length < 2 && this.#steadyVersion === this.#encoder.version) return this.#steady;
    const before = this.#encoder.version;
    const block = this.#scratch.subarray(0, this.#encoder.encode(this.#fields, this.#scratch, 0));
    if (!this.#varying && before === this.#encoder.version) {
      this.#steady = Buffer.from(block);
      this.#steadyVersion = before;
    }
    return block;
  }

  #authorizationOf(serial: number): string {
    if (this.#keys > 0) return keyToken(keyOfCall(serial, this.#keys));
    return this.#authorizations[serial % this.#authorizations.length]!;
  }
}
