// `npm run demo`: one call of each of gRPC's four kinds through the gateway, and what came back.
// The first argument is the gateway's address, 127.0.0.1:8080 without it.

import * as grpc from "@grpc/grpc-js";
import { Echo, type EchoClient, type Text } from "./service/echo.js";

const CONNECT_MS = 3_000;
const CALL_MS = 10_000;

function unary(client: EchoClient): Promise<string> {
  return new Promise((resolve, reject) => {
    client.say({ text: "hello" }, (error, value) => (error ? reject(error) : resolve(value!.text)));
  });
}

function clientStreaming(client: EchoClient): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = client.join((error, value) => (error ? reject(error) : resolve(value!.text)));
    for (const text of ["many", "words", "one", "sentence"]) call.write({ text });
    call.end();
  });
}

async function serverStreaming(client: EchoClient): Promise<string> {
  const texts: string[] = [];
  for await (const { text } of client.split({ text: "one sentence many words" }) as AsyncIterable<Text>)
    texts.push(text);
  return texts.join(" | ");
}

/** Each text is sent only when the answer to the one before has come. */
async function bidirectional(client: EchoClient): Promise<string> {
  const call = client.chat();
  const texts: string[] = [];
  const questions = ["one", "two", "three"];
  call.write({ text: questions.shift()! });
  for await (const { text } of call as AsyncIterable<Text>) {
    texts.push(text);
    const next = questions.shift();
    if (next === undefined) call.end();
    else call.write({ text: next });
  }
  return texts.join(" | ");
}

function connected(client: EchoClient): Promise<boolean> {
  return new Promise((resolve) =>
    client.waitForReady(Date.now() + CONNECT_MS, (error) => resolve(error === undefined)),
  );
}

async function main(address: string): Promise<number> {
  const client = new Echo(address, grpc.credentials.createInsecure());
  try {
    if (!(await connected(client))) {
      process.stderr.write(`demo: no gateway answers on ${address}; start it with \`npm start\` in another terminal\n`);
      return 1;
    }
    process.stdout.write(`four calls through the gateway on ${address}\n`);
    process.stdout.write(`  unary             ${await unary(client)}\n`);
    process.stdout.write(`  client streaming  ${await clientStreaming(client)}\n`);
    process.stdout.write(`  server streaming  ${await serverStreaming(client)}\n`);
    process.stdout.write(`  bidirectional     ${await bidirectional(client)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`demo: the call failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    client.close();
  }
}

setTimeout(() => {
  process.stderr.write("demo: no answer in time\n");
  process.exit(1);
}, CALL_MS).unref();

process.exitCode = await main(process.argv[2] ?? "127.0.0.1:8080");
