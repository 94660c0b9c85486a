// The example gRPC service: four kinds of calls on one local port (the first argument, 50051 without it).

import * as grpc from "@grpc/grpc-js";
import { Echo, type Text } from "./echo.js";

const address = `127.0.0.1:${process.argv[2] ?? "50051"}`;

// One clear line is ours to write.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

const server = new grpc.Server();
server.addService(Echo.service, {
  say(call: grpc.ServerUnaryCall<Text, Text>, answer: grpc.sendUnaryData<Text>) {
    answer(null, { text: `you said: ${call.request.text}` });
  },
  join(call: grpc.ServerReadableStream<Text, Text>, answer: grpc.sendUnaryData<Text>) {
    const words: string[] = [];
    call.on("data", ({ text }: Text) => words.push(text));
    call.on("end", () => answer(null, { text: words.join(" ") }));
  },
  split(call: grpc.ServerWritableStream<Text, Text>) {
    for (const text of call.request.text.split(" ")) call.write({ text });
    call.end();
  },
  chat(call: grpc.ServerDuplexStream<Text, Text>) {
    call.on("data", ({ text }: Text) => call.write({ text: `${text}, too` }));
    call.on("end", () => call.end());
  },
});

server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error !== null) {
    const why = error.message.includes("EADDRINUSE") ? "another process has this port" : error.message;
    process.stderr.write(`example service: cannot listen on ${address}: ${why}\n`);
    process.exit(1);
  }
  process.stdout.write(`example service listens on ${address}\n`);
  process.send?.("serves");
});

function end(): void {
  server.tryShutdown(() => process.exit(0));
}
process.on("SIGTERM", end);
process.on("SIGINT", end);
// Whoever started it holds the other end of this pipe.
if (process.send !== undefined) process.on("disconnect", () => process.exit(0));
