// `node .build/examples/call.js [KEY [ADDRESS]]`: one call to the example service behind a key, and what came back.

import * as grpc from "@grpc/grpc-js";
import { Echo } from "./service/echo.js";

const [key = "", address = "127.0.0.1:8083"] = process.argv.slice(2);
const DEADLINE_MS = 5_000;

const metadata = new grpc.Metadata();
if (key !== "") metadata.set("authorization", `Bearer ${key}`);

const client = new Echo(address, grpc.credentials.createInsecure());
client.say({ text: "hello" }, metadata, { deadline: Date.now() + DEADLINE_MS }, (error, value) => {
  client.close();
  if (error === null) {
    process.stdout.write(`OK: ${value?.text}\n`);
    return;
  }
  process.stderr.write(`${grpc.status[error.code]}: ${error.details}\n`);
  process.exitCode = 1;
});
