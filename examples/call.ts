// `node .build/examples/call.js [KEY [ADDRESS [CERTIFICATE]]]`: one call to the example service behind a key, and what came
// back. With the file of a certificate, which is trusted, the call goes over TLS; without a key give "".

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { Echo } from "./service/echo.js";

const [key = "", address = "127.0.0.1:8083", certificate = ""] = process.argv.slice(2);
const DEADLINE_MS = 5_000;

/** The file may hold the key too, which callers have no use for. */
function security(): grpc.ChannelCredentials {
  if (certificate === "") return grpc.credentials.createInsecure();
  const trusted = new X509Certificate(readFileSync(certificate)).toString();
  return grpc.credentials.createSsl(Buffer.from(trusted));
}

const metadata = new grpc.Metadata();
if (key !== "") metadata.set("authorization", `Bearer ${key}`);

const client = new Echo(address, security());
client.say({ text: "hello" }, metadata, { deadline: Date.now() + DEADLINE_MS }, (error, value) => {
  client.close();
  if (error === null) {
    process.stdout.write(`OK: ${value?.text}\n`);
    return;
  }
  process.stderr.write(`${grpc.status[error.code]}: ${error.details}\n`);
  process.exitCode = 1;
});
