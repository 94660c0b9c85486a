// `node .build/examples/quota.js`: makes a key with a quota of five calls on one gateway (control port 8081) and uses it up
// through another (port 9080). The secret of the control API is in TYK_GW_SECRET. Part of the README's "Two replicas".

import * as grpc from "@grpc/grpc-js";
import { Echo, type Text } from "./service/echo.js";

const CREATE = "http://127.0.0.1:8081/tyk/keys/create";
const OTHER = "127.0.0.1:9080";
const QUOTA = 5;
const PATIENCE_MS = 60_000;
const DEADLINE_MS = 5_000;

/** The gateways may still be starting. */
async function patiently<T>(what: () => Promise<T>): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await what();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function createKey(): Promise<string> {
  const session = {
    org_id: "default",
    quota_max: QUOTA,
    quota_renewal_rate: 3_600,
    access_rights: { "echo-keys": { api_id: "echo-keys", versions: ["Default"] } },
  };
  const headers = { "x-tyk-authorization": process.env["TYK_GW_SECRET"] ?? "" };
  const answer = await fetch(CREATE, { method: "POST", headers, body: JSON.stringify(session) });
  const body = (await answer.json()) as { key?: string; message?: string };
  if (body.key === undefined) throw new Error(`no key: ${body.message}`);
  return body.key;
}

const key = await patiently(createKey);
process.stdout.write(`a key with a quota of ${QUOTA} calls, made on 8081\n`);
const client = new Echo(OTHER, grpc.credentials.createInsecure());
await patiently(
  () =>
    new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + DEADLINE_MS, (error) => (error === undefined ? resolve() : reject(error)));
    }),
);
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${key}`);
for (let call = 1; call <= QUOTA + 1; call++) {
  const outcome = await new Promise<string>((resolve) => {
    const options = { deadline: Date.now() + DEADLINE_MS };
    client.say({ text: "hello" }, metadata, options, (error: grpc.ServiceError | null, value?: Text) => {
      resolve(error === null ? `OK: ${value?.text}` : `${grpc.status[error.code]}: ${error.details}`);
    });
  });
  process.stdout.write(`call ${call} through 9080  ${outcome}\n`);
}
client.close();
