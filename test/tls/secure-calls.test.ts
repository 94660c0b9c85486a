// gRPC through TLS on both sides of a gateway: the stream cases of spec 7.1 for a caller with a certificate, with a token and
// with a password, towards a service that wants the gateway's own certificate. Governed by: TestGRPC_TLS, _MutualTLS,
// _TokenBasedAuthentication, _BasicAuthentication, TestGRPC_Stream_*, TestHTTP2_TLS.

import assert from "node:assert/strict";
import { connect } from "node:http2";
import { after, before, describe, test } from "node:test";
import { type ChannelCredentials, credentials, Metadata, ServerCredentials, status } from "@grpc/grpc-js";
import { type Control, rights } from "../gate/control.js";
import { keyed, World } from "../gate/world.js";
import { callCases, type Pair } from "../grpc/calls.js";
import { freePorts, keyless } from "../support/gateway.js";
import { failureOf, GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { type Made, make } from "./certificates.js";

const NAME = "test.Echo";
const WAYS = ["certificate", "token", "password"] as const;
type Way = (typeof WAYS)[number];

describe("TLS in and TLS out", () => {
  let world: World;
  let service: GrpcService;
  let port: number;
  let server: Made;
  let caller: Made;
  const pairs = new Map<Way, Pair>();
  const clients: GrpcClient[] = [];

  const client = (way: Way, security: ChannelCredentials): GrpcClient => {
    const made = new GrpcClient(`localhost:${port}`, `${way}/${NAME}`, {}, security);
    clients.push(made);
    return made;
  };
  const withField = (ssl: ChannelCredentials, authorization: string): ChannelCredentials => {
    const metadata = new Metadata();
    metadata.set("authorization", authorization);
    const given = credentials.createFromMetadataGenerator((_options, done) => done(null, metadata));
    return credentials.combineChannelCredentials(ssl, given);
  };

  before(async () => {
    const ca = await make({ name: "services", ca: true });
    const [behind, gateway] = await Promise.all([
      make({ name: "localhost", issuer: ca }),
      make({ name: "the-gateway" }),
    ]);
    [server, caller] = await Promise.all([make({ name: "localhost" }), make({ name: "caller" })]);
    const pair = { cert_chain: Buffer.from(behind.cert), private_key: Buffer.from(behind.key) };
    const security = ServerCredentials.createSsl(Buffer.from(gateway.cert), [pair], true);
    service = await GrpcService.listen(NAME, 0, "127.0.0.1", security);
    [port = 0] = await freePorts(1);
    const target = `https://localhost:${service.port}`;
    const common = { protocol: "https", listen_port: port, upstream_certificates: { "*": gateway.pem } };
    const proxy = (path: string) => ({ listen_path: path, target_url: target, strip_listen_path: true });
    world = await World.start({
      home: "embedded",
      settings: {
        http_server_options: { ssl_certificates: [server.pem] },
        upstream: { ca_certificates: [ca.cert] },
      },
      definitions: () => [
        keyless({
          id: "certificate",
          target,
          path: "/certificate",
          proxy: { strip_listen_path: true },
          more: { ...common, use_mutual_tls_auth: true, client_certificates: [caller.cert] },
        }),
        keyed("token", target, "/token", { ...common, proxy: proxy("/token") }),
        keyed("password", target, "/password", {
          ...common,
          proxy: proxy("/password"),
          use_standard_auth: false,
          use_basic_auth: true,
          auth_configs: {},
        }),
      ],
    });
    const control: Control = world.control();
    const access_rights = rights(["token", "password"]);
    const { key } = await control.key({ access_rights });
    await control.key({ access_rights, basic_auth_data: { password: "password" } }, "defaultuser");
    const trusted = Buffer.from(server.cert);
    const plain = credentials.createSsl(trusted);
    const encoded = Buffer.from("defaultuser:password").toString("base64");
    const through: Record<Way, GrpcClient> = {
      certificate: client(
        "certificate",
        credentials.createSsl(trusted, Buffer.from(caller.key), Buffer.from(caller.cert)),
      ),
      // Without Bearer, as Tyk's test has it.
      token: client("token", withField(plain, key)),
      password: client("password", withField(plain, `Basic ${encoded}`)),
    };
    const own = credentials.createSsl(Buffer.from(ca.cert), Buffer.from(gateway.key), Buffer.from(gateway.cert));
    const direct = new GrpcClient(`localhost:${service.port}`, NAME, {}, own);
    clients.push(direct);
    for (const way of WAYS) pairs.set(way, { through: through[way], direct });
  });

  after(async () => {
    for (const one of clients) one.close();
    await world?.stop();
    service?.close();
  });

  for (const way of WAYS) {
    for (const it of callCases) test(`a caller with a ${way}: ${it.says}`, () => it.run(pairs.get(way) as Pair));
  }

  test("the same without a certificate, a token or a password is refused", async () => {
    const expected = [status.PERMISSION_DENIED, status.UNAUTHENTICATED, status.UNAUTHENTICATED];
    const codes: number[] = [];
    for (const way of WAYS) {
      const nobody = client(way, credentials.createSsl(Buffer.from(server.cert)));
      codes.push((await failureOf(nobody.unary(METHODS.echo, "hello"))).code);
    }
    assert.deepEqual(codes, expected);
  });

  test("an HTTP/2 caller that speaks no gRPC is served over HTTP/2 on both sides", async () => {
    const session = connect(`https://localhost:${port}`, { ca: server.cert, cert: caller.cert, key: caller.key });
    try {
      const stream = session.request({ ":path": "/certificate/any" });
      const answered = await new Promise((resolve, reject) => {
        stream.on("response", (headers) => resolve(headers[":status"]));
        session.on("error", reject);
      });
      // The service's own answer to what is no gRPC.
      assert.deepEqual([session.alpnProtocol, answered], ["h2", 415]);
    } finally {
      session.destroy();
    }
  });
});
