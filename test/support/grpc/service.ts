// Responsible for: the contract's service on @grpc/grpc-js, in the test's own process.
// Must not know: who calls. Governed by: contract.ts. How often: tests only.

import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { fullPath, METHODS, sameBytes } from "./contract.js";

type Unary = ServerUnaryCall<Buffer, Buffer>;
type Writing = ServerWritableStream<Buffer, Buffer>;
type Reply = sendUnaryData<Buffer>;

function definition(service: string): ServiceDefinition {
  const rows = Object.values(METHODS).map((it) => [
    it.name,
    {
      path: fullPath(service, it),
      requestStream: it.requestStream,
      responseStream: it.responseStream,
      requestSerialize: sameBytes,
      requestDeserialize: sameBytes,
      responseSerialize: sameBytes,
      responseDeserialize: sameBytes,
    },
  ]);
  return Object.fromEntries(rows) as ServiceDefinition;
}

function statusOf(request: Buffer): { code: number; details: string } {
  const [code = "", ...message] = request.toString().split(":");
  return { code: Number(code), details: message.join(":") };
}

/** Those whose names begin with x-, in the order in which this side hands them out. */
function fieldsOf(metadata: Metadata): [name: string, value: Buffer][] {
  return Object.keys(metadata.getMap())
    .filter((name) => name.startsWith("x-") && name !== "x-forwarded-for")
    .flatMap((name) => metadata.get(name).map((value): [string, Buffer] => [name, Buffer.from(value)]));
}

export class GrpcService {
  readonly forwardedFor: string[] = [];
  /** Calls begun, by method. */
  readonly begun = new Map<string, number>();
  private readonly cancelled = new Set<string>();
  private readonly watchers = new Map<string, (() => void)[]>();
  private readonly gathered = new Map<string, Reply[]>();
  private readonly server: Server;

  private constructor(readonly service: string) {
    this.server = new Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  }

  port = 0;

  /** @param port 0 for any */
  static async listen(
    service: string,
    port = 0,
    host = "127.0.0.1",
    security: ServerCredentials = ServerCredentials.createInsecure(),
  ): Promise<GrpcService> {
    const it = new GrpcService(service);
    it.server.addService(definition(service), it.handlers());
    it.port = await new Promise<number>((resolve, reject) => {
      it.server.bindAsync(`${host}:${port}`, security, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return it;
  }

  get target(): string {
    return `h2c://127.0.0.1:${this.port}`;
  }

  count(method: { name: string }): number {
    return this.begun.get(method.name) ?? 0;
  }

  /** Ends at once; connections break. */
  close(): void {
    this.server.forceShutdown();
  }

  /** GOAWAY; resolves when the last running call has ended. */
  drain(): Promise<void> {
    return new Promise((resolve) => this.server.tryShutdown(() => resolve()));
  }

  /** Resolves once the `hold` with this id was cancelled. */
  whenCancelled(id: string): Promise<void> {
    if (this.cancelled.has(id)) return Promise.resolve();
    return new Promise((resolve) => this.watchers.set(id, [...(this.watchers.get(id) ?? []), resolve]));
  }

  private handlers(): UntypedServiceImplementation {
    const of = METHODS;
    const counted = <C, Rest extends unknown[]>(name: string, run: (call: C, ...rest: Rest) => void) => {
      return (call: C, ...rest: Rest): void => {
        this.begun.set(name, this.count({ name }) + 1);
        run(call, ...rest);
      };
    };
    return {
      [of.echo.name]: counted(of.echo.name, (call: Unary, reply: Reply) => this.echo(call, reply)),
      [of.collect.name]: counted(of.collect.name, collect),
      [of.give.name]: counted(of.give.name, give),
      [of.chat.name]: counted(of.chat.name, chat),
      [of.nothing.name]: counted(of.nothing.name, (call: Writing) => void call.end()),
      [of.mirror.name]: counted(of.mirror.name, mirror),
      [of.fail.name]: counted(of.fail.name, (call: Unary, reply: Reply) => reply(statusOf(call.request))),
      [of.failLate.name]: counted(of.failLate.name, failLate),
      [of.hold.name]: counted(of.hold.name, (call: Writing) => this.hold(call)),
      [of.watch.name]: counted(of.watch.name, (call: Unary, reply: Reply) => {
        void this.whenCancelled(call.request.toString()).then(() => reply(null, call.request));
      }),
      [of.gather.name]: counted(of.gather.name, (call: Unary, reply: Reply) => this.gather(call, reply)),
    };
  }

  private echo(call: Unary, reply: Reply): void {
    this.forwardedFor.push(String(call.metadata.get("x-forwarded-for")[0] ?? ""));
    reply(null, call.request);
  }

  private hold(call: Writing): void {
    const [id = "", first] = call.request.toString().split(":");
    call.on("cancelled", () => {
      this.cancelled.add(id);
      for (const tell of this.watchers.get(id) ?? []) tell();
      this.watchers.delete(id);
    });
    if (first !== undefined) call.write(Buffer.from(first));
    else call.sendMetadata(new Metadata());
  }

  private gather(call: Unary, reply: Reply): void {
    const [id = "", n = "1"] = call.request.toString().split(":");
    const here = [...(this.gathered.get(id) ?? []), reply];
    this.gathered.set(id, here);
    if (here.length < Number(n)) return;
    this.gathered.delete(id);
    for (const tell of here) tell(null, Buffer.from(String(here.length)));
  }
}

function collect(call: ServerReadableStream<Buffer, Buffer>, reply: Reply): void {
  let count = 0;
  let bytes = 0;
  call.on("data", (message: Buffer) => {
    count++;
    bytes += message.length;
  });
  call.on("end", () => reply(null, Buffer.from(`${count}:${bytes}`)));
  call.on("error", () => undefined);
}

function give(call: Writing): void {
  const [count = 0, bytes = 0] = call.request.toString().split(":").map(Number);
  let at = 0;
  const go = (): void => {
    while (at < count && !call.cancelled) {
      const message = Buffer.alloc(Math.max(bytes, 4), at & 0xff);
      message.writeUInt32BE(at++);
      if (!call.write(message)) return void call.once("drain", go);
    }
    call.end();
  };
  call.on("error", () => undefined);
  go();
}

function chat(call: ServerDuplexStream<Buffer, Buffer>): void {
  call.on("data", (message: Buffer) => call.write(message));
  call.on("end", () => call.end());
  call.on("error", () => undefined);
}

function mirror(call: Unary, reply: Reply): void {
  const fields = fieldsOf(call.metadata);
  const initial = new Metadata();
  const trailers = new Metadata();
  for (const [name, value] of fields) {
    const shown = name.endsWith("-bin") ? value : value.toString();
    initial.add(name, shown);
    trailers.add(name.replace(/^x-/, "y-"), shown);
  }
  call.sendMetadata(initial);
  reply(null, Buffer.from(JSON.stringify(fields.map(([name, value]) => [name, value.toString("hex")]))), trailers);
}

function failLate(call: Writing): void {
  call.write(Buffer.from("before"));
  call.emit("error", statusOf(call.request));
}
