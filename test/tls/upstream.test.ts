// TLS towards services: who is trusted, what is shown, and what a call gets when a service is not who it should be.
// Governed by: spec 6.8 and 7.3. One gateway, an API for each case, grpc-js services with certificates of their own.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { ServerCredentials, status } from "@grpc/grpc-js";
import { keyFingerprint } from "../../src/shared/certificates/reference.js";
import { callCases } from "../grpc/calls.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { type Made, make } from "./certificates.js";

const NAME = "test.Echo";

const serverWith = (made: Made, clients: Made | null = null): ServerCredentials =>
  ServerCredentials.createSsl(
    clients === null ? null : Buffer.from(clients.cert),
    [{ cert_chain: Buffer.from(made.cert), private_key: Buffer.from(made.key) }],
    clients !== null,
  );

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));

/** CONNECT and nothing else; counts what it opened. */
class ForwardProxy {
  opened: string[] = [];
  readonly sockets = new Set<Socket>();
  readonly server = createServer((socket) => {
    this.sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("data", (bytes) => {
      const [, host = "", port = ""] = /^CONNECT ([^:]+):(\d+) HTTP/.exec(bytes.toString()) ?? [];
      if (!bytes.toString().includes("Proxy-Authorization: Basic dTpw")) {
        socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        return;
      }
      this.opened.push(`${host}:${port}`);
      const onward = connectTcp(Number(port), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        socket.pipe(onward).pipe(socket);
      });
      this.sockets.add(onward);
      onward.on("error", () => socket.destroy());
    });
  });

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

describe("TLS towards services", () => {
  let gateway: Gateway;
  let good: GrpcService;
  let strict: GrpcService;
  let strange: GrpcService;
  let strangeConnections = 0;
  const proxy = new ForwardProxy();
  const servers: Server[] = [];
  const clients = new Map<string, GrpcClient>();

  const through = (id: string): GrpcClient => {
    const client = clients.get(id) ?? new GrpcClient(gateway.port, `${id}/${NAME}`);
    clients.set(id, client);
    return client;
  };
  const echo = async (id: string): Promise<string> => (await through(id).unary(METHODS.echo, "hello")).body.toString();
  const failure = async (id: string) => {
    const { code, details } = await failureOf(through(id).unary(METHODS.echo, "hello"));
    return { code, details };
  };

  before(async () => {
    const ca = await make({ name: "services", ca: true });
    const [server, stranger, caller] = await Promise.all([
      make({ name: "the-service", names: ["localhost"], issuer: ca }),
      make({ name: "localhost" }),
      make({ name: "the-gateway" }),
    ]);
    good = await GrpcService.listen(NAME, 0, "127.0.0.1", serverWith(server));
    strict = await GrpcService.listen(NAME, 0, "127.0.0.1", serverWith(server, caller));
    strange = await GrpcService.listen(NAME, 0, "127.0.0.1", serverWith(stranger));
    const relayed = createServer((socket) => {
      strangeConnections++;
      const onward = connectTcp(strange.port, "127.0.0.1");
      socket.pipe(onward).pipe(socket);
      for (const one of [socket, onward]) one.on("error", () => one.destroy());
      proxy.sockets.add(socket).add(onward);
    });
    const relayedPort = await listening(relayed);
    const http1 = createTlsServer({ cert: server.cert, key: server.key, ALPNProtocols: ["http/1.1"] });
    http1.on("tlsClientError", () => {});
    const http1Port = await listening(http1);
    servers.push(relayed, http1);
    const proxyPort = await listening(proxy.server);
    const pinOf = (made: Made) => keyFingerprint(new X509Certificate(made.cert).publicKey);
    const api = (id: string, target: string, more = {}, transport = {}) =>
      keyless({ id, target, path: `/${id}`, more, proxy: { strip_listen_path: true, transport } });
    const at = (service: { port: number }, host = "localhost") => `https://${host}:${service.port}`;
    const through = `http://u:p@127.0.0.1:${proxyPort}`;
    gateway = await startGateway({
      settings: {
        upstream: { ca_certificates: [ca.cert], backoff_initial: 0.5 },
        security: { certificates: { upstream: { "*.nowhere": caller.pem } } },
      },
      definitions: [
        api("good", at(good)),
        api("address", at(good, "127.0.0.1")),
        api("strange", `https://localhost:${relayedPort}`),
        api("skip", at(strange), {}, { ssl_insecure_skip_verify: true }),
        api("name", at(good), {}, { ssl_force_common_name_check: true }),
        api("http1", `https://localhost:${http1Port}`),
        api("nobody", at(strict)),
        api("shown", at(strict), { upstream_certificates: { localhost: caller.pem } }),
        api("hidden", at(strict), { upstream_certificates: { "*": caller.pem }, upstream_certificates_disabled: true }),
        api("pinned", at(strange), { pinned_public_keys: { "*": `${pinOf(caller)}, ${pinOf(stranger)}` } }),
        api("mispinned", at(good), { pinned_public_keys: { localhost: pinOf(stranger) } }),
        api("unpinned", at(good), {
          pinned_public_keys: { localhost: pinOf(stranger) },
          certificate_pinning_disabled: true,
        }),
        api("suite", at(good), {}, { ssl_max_version: 771, ssl_ciphers: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"] }),
        api("nosuite", at(good), {}, { ssl_max_version: 771, ssl_ciphers: ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"] }),
        api("proxied", at(good), {}, { proxy_url: through }),
        api("pinproxied", at(strange), { pinned_public_keys: { "*": pinOf(stranger) } }, { proxy_url: through }),
        api("noproxy", at(good), {}, { proxy_url: `http://127.0.0.1:${proxyPort}` }),
      ],
    });
  });

  after(async () => {
    for (const client of clients.values()) client.close();
    await gateway?.stop();
    for (const service of [good, strict, strange]) service?.close();
    proxy.close();
    for (const server of servers) server.close();
  });

  for (const it of callCases) {
    test(`https: ${it.says}`, async () => {
      const direct = through("good");
      await it.run({ through: through("good"), direct });
    });
  }

  for (const [id, why] of [
    ["skip", "ssl_insecure_skip_verify takes any certificate"],
    ["shown", "the certificate for the host is shown to a service that asks"],
    ["pinned", "a pinned key is taken, whoever signed it"],
    ["unpinned", "pins that are disabled do not count"],
    ["suite", "a suite of the list is agreed on"],
    ["proxied", "the way through a forward proxy is taken"],
    ["pinproxied", "pins count behind a forward proxy too"],
    ["address", "an address that the certificate names is verified as such"],
  ] as const) {
    test(why, async () => assert.equal(await echo(id), "hello"));
  }

  test("the forward proxy was asked for the target's name", () => {
    assert.ok(proxy.opened.includes(`localhost:${good.port}`), proxy.opened.join());
  });

  for (const [id, why, reason] of [
    ["name", "another common name", /common name of the service is not localhost/],
    ["http1", "a service without HTTP/2", /ALPN|no application protocol/i],
    ["nobody", "a service that wants a certificate", /certificate required|handshake failure|closed|ECONNRESET/i],
    ["hidden", "a service that wants a certificate when they are disabled", /certificate|handshake|closed|ECONNRESET/i],
    ["mispinned", "another key than those pinned", /public key is none of those pinned/],
    ["nosuite", "no suite in common", /handshake failure/i],
    ["noproxy", "a forward proxy that refuses", /forward proxy refuses.*407/],
  ] as const) {
    test(`${why} makes calls UNAVAILABLE, with the reason in the log`, async () => {
      assert.equal((await failure(id)).code, status.UNAVAILABLE);
      assert.match(gateway.logs, reason);
    });
  }

  test("a certificate that nobody trusts makes calls UNAVAILABLE without a storm of tries", async () => {
    const seen = strangeConnections;
    for (let round = 0; round < 50; round++) assert.equal((await failure("strange")).code, status.UNAVAILABLE);
    assert.match(gateway.logs, /self-signed certificate/);
    assert.ok(strangeConnections - seen <= 5, `${strangeConnections - seen} tries for 50 calls`);
  });
});
