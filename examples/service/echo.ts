// What the example's service and its caller both need: the contract, read from echo.proto, and its types.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import * as protoLoader from "@grpc/proto-loader";

export interface Text {
  readonly text: string;
}

export type EchoClient = grpc.Client & {
  say(request: Text, answer: (error: grpc.ServiceError | null, value?: Text) => void): grpc.ClientUnaryCall;
  say(
    request: Text,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    answer: (error: grpc.ServiceError | null, value?: Text) => void,
  ): grpc.ClientUnaryCall;
  join(answer: (error: grpc.ServiceError | null, value?: Text) => void): grpc.ClientWritableStream<Text>;
  split(request: Text): grpc.ClientReadableStream<Text>;
  chat(): grpc.ClientDuplexStream<Text, Text>;
};

interface Contract {
  readonly sluice: {
    readonly example: {
      readonly Echo: (new (
        address: string,
        credentials: grpc.ChannelCredentials,
      ) => EchoClient) & {
        readonly service: grpc.ServiceDefinition;
      };
    };
  };
}

/** The compiled file runs from a build folder, echo.proto stays beside the source: the first found on the way up. */
function protoFile(): string {
  for (let folder = new URL(".", import.meta.url); ; folder = new URL("..", folder)) {
    const file = fileURLToPath(new URL("examples/service/echo.proto", folder));
    if (existsSync(file)) return file;
    if (folder.pathname === "/") throw new Error("examples/service/echo.proto is missing");
  }
}

export const { Echo } = (grpc.loadPackageDefinition(protoLoader.loadSync(protoFile())) as unknown as Contract).sluice
  .example;
