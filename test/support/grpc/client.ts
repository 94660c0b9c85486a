// Responsible for: calls of the contract through @grpc/grpc-js, as values and promises.
// Must not know: what stands between it and the service. Governed by: contract.ts. How often: tests only.

import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { fullPath, type Method, sameBytes } from "./contract.js";

export interface Answer {
  body: Buffer;
  initial: Metadata;
  status: StatusObject;
}

export interface Stream {
  messages: Buffer[];
  initial: Metadata | undefined;
  status: StatusObject;
}

const bytes = (it: string | Buffer): Buffer => (typeof it === "string" ? Buffer.from(it) : it);

export class GrpcClient {
  private readonly client: Client;

  /** @param address "127.0.0.1:port", or a name that grpc-js resolves */
  constructor(
    address: string | number,
    private readonly service: string,
    options: Record<string, string | number> = {},
    security: ChannelCredentials = credentials.createInsecure(),
  ) {
    const at = typeof address === "number" ? `127.0.0.1:${address}` : address;
    this.client = new Client(at, security, {
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      // Its own connection, whatever other clients of the process do.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      // The default waits for a second or more: a test that kills something need not.
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.min_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
      ...options,
    });
  }

  unary(
    method: Method,
    request: string | Buffer,
    metadata = new Metadata(),
    options: CallOptions = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let initial = new Metadata();
      let body = Buffer.alloc(0);
      let failure: ServiceError | null = null;
      const path = fullPath(this.service, method);
      const call = this.client.makeUnaryRequest<Buffer, Buffer>(
        path,
        sameBytes,
        sameBytes,
        bytes(request),
        metadata,
        options,
        (error, reply) => {
          failure = error;
          if (reply !== undefined) body = Buffer.from(reply);
        },
      );
      call.on("metadata", (it) => {
        initial = it;
      });
      call.on("status", (status) => {
        // The callback comes before the status.
        if (failure === null) resolve({ body, initial, status });
        else reject(failure);
      });
    });
  }

  /** A client-streaming call. */
  collect(method: Method, messages: Iterable<Buffer>): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const path = fullPath(this.service, method);
      const call = this.client.makeClientStreamRequest<Buffer, Buffer>(path, sameBytes, sameBytes, (error, reply) =>
        error === null ? resolve(Buffer.from(reply ?? [])) : reject(error),
      );
      for (const message of messages) call.write(message);
      call.end();
    });
  }

  /** A server-streaming call that the test reads and ends. */
  reading(method: Method, request: string, options: CallOptions = {}): ClientReadableStream<Buffer> {
    const path = fullPath(this.service, method);
    const call = this.client.makeServerStreamRequest<Buffer, Buffer>(
      path,
      sameBytes,
      sameBytes,
      bytes(request),
      options,
    );
    call.on("error", () => undefined);
    return call;
  }

  /** A server-streaming call, read to its end. */
  read(method: Method, request: string, options: CallOptions = {}): Promise<Stream> {
    return readAll(this.reading(method, request, options));
  }

  duplex(method: Method): ClientDuplexStream<Buffer, Buffer> {
    const path = fullPath(this.service, method);
    const call = this.client.makeBidiStreamRequest<Buffer, Buffer>(path, sameBytes, sameBytes);
    call.on("error", () => undefined);
    return call;
  }

  /** Resolves when the connection is there. */
  ready(ms = 10_000): Promise<void> {
    return new Promise((resolve, reject) => {
      this.client.waitForReady(Date.now() + ms, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    this.client.close();
  }
}

export function statusOf(call: { on(event: "status", listener: (it: StatusObject) => void): unknown }) {
  return new Promise<StatusObject>((resolve) => call.on("status", resolve));
}

/** The next message of a stream that is read one by one. */
export function nextMessage(call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const take = (message: Buffer): void => {
      call.pause();
      call.off("status", fail);
      resolve(message);
    };
    const fail = (it: StatusObject): void => {
      call.off("data", take);
      reject(new Error(`the call ended with ${it.code} ${it.details}`));
    };
    call.once("data", take);
    call.once("status", fail);
    call.resume();
  });
}

export function readAll(call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>): Promise<Stream> {
  return new Promise((resolve) => {
    const messages: Buffer[] = [];
    let initial: Metadata | undefined;
    call.on("metadata", (it: Metadata) => {
      initial = it;
    });
    call.on("data", (message: Buffer) => messages.push(message));
    call.on("status", (status: StatusObject) => resolve({ messages, initial, status }));
  });
}

/** The status a call failed with. */
export async function failureOf(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("the call should have failed");
}
