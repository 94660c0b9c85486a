// The rows of spec 7.3 towards services that stand nowhere else (the table is in README.md): settings of the gateway and
// of the definition beside each other, pins that hold for all, the host that is kept, forward proxies that are away.
// Governed by: spec 6.8; TestUpstreamMutualTLS, TestPublicKeyPinning, TestSSLForceCommonName, TestProxyTransport.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { ServerCredentials, status } from "@grpc/grpc-js";
import { keyFingerprint } from "../../src/shared/certificates/reference.js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { type Made, make } from "./certificates.js";

const NAME = "test.Echo";
const AES_256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
const RSA_ONLY = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
const TLS_1_2 = 771;
const TLS_1_3 = 772;

const serverWith = (made: Made, clients: Made | null = null): ServerCredentials =>
  ServerCredentials.createSsl(
    clients === null ? null : Buffer.from(clients.cert),
    [{ cert_chain: Buffer.from(made.cert), private_key: Buffer.from(made.key) }],
    clients !== null,
  );
const pinOf = (made: Made): string => keyFingerprint(new X509Certificate(made.cert).publicKey);

describe("TLS towards services: settings beside definitions", () => {
  let gateway: Gateway;
  const services: GrpcService[] = [];
  const clients = new Map<string, GrpcClient>();

  const listen = async (security: ServerCredentials): Promise<GrpcService> => {
    const service = await GrpcService.listen(NAME, 0, "127.0.0.1", security);
    services.push(service);
    return service;
  };
  const through = (id: string): GrpcClient => {
    const client = clients.get(id) ?? new GrpcClient(gateway.port, `${id}/${NAME}`);
    clients.set(id, client);
    return client;
  };

  before(async () => {
    const ca = await make({ name: "services", ca: true });
    const [server, pinned, caller, other] = await Promise.all([
      make({ name: "localhost", issuer: ca }),
      make({ name: "localhost" }),
      make({ name: "the-gateway" }),
      make({ name: "other" }),
    ]);
    const open = await listen(serverWith(server));
    const strict = await listen(serverWith(server, caller));
    const strange = await listen(serverWith(pinned));
    const [away = 0] = await freePorts(1);
    const api = (id: string, service: GrpcService, more = {}, proxy = {}) =>
      keyless({
        id,
        target: `https://localhost:${service.port}`,
        path: `/${id}`,
        more,
        proxy: { strip_listen_path: true, ...proxy },
      });
    const transport = (it: object) => ({ transport: it });
    gateway = await startGateway({
      settings: {
        proxy_ssl_max_version: TLS_1_2,
        proxy_ssl_ciphers: [AES_256],
        upstream: { ca_certificates: [ca.cert] },
        security: {
          certificates: { upstream: { "*": other.pem } },
          // For one address of the three alone.
          pinned_public_keys: { [`localhost:${strange.port}`]: pinOf(pinned) },
        },
      },
      definitions: [
        api("everywhere", open),
        api("suite", open, {}, transport({ ssl_ciphers: [RSA_ONLY] })),
        api("newer", open, {}, transport({ ssl_min_version: TLS_1_3, ssl_max_version: TLS_1_3, ssl_ciphers: [] })),
        api("name", open, {}, transport({ ssl_force_common_name_check: true })),
        api("other", strict),
        api("own", strict, { upstream_certificates: { "localhost:1": other.pem, localhost: caller.pem } }),
        api("host", strict, { upstream_certificates: { localhost: caller.pem } }, { preserve_host_header: true }),
        api("pinned", strange),
        api("both", strange, {}, transport({ ssl_force_common_name_check: true })),
        api("repinned", strange, { pinned_public_keys: { "*": pinOf(other) } }),
        api("unpinned", strange, { certificate_pinning_disabled: true }),
        api("away", open, {}, transport({ proxy_url: `http://127.0.0.1:${away}` })),
      ],
    });
  });

  after(async () => {
    for (const client of clients.values()) client.close();
    await gateway?.stop();
    for (const service of services) service.close();
  });

  for (const [id, why] of [
    ["everywhere", "versions and suites of the gateway are agreed on"],
    ["newer", "a definition's versions replace the gateway's"],
    ["name", "the common name that is asked for passes"],
    ["own", "a definition's certificate replaces the gateway's"],
    ["host", "the caller's host is kept and the certificate is still the target's"],
    ["pinned", "the gateway's pins hold for their address"],
    ["both", "a pinned key passes beside the common name"],
  ] as const) {
    test(why, async () => {
      assert.equal((await through(id).unary(METHODS.echo, "hello")).body.toString(), "hello");
    });
  }

  for (const [id, why, reason] of [
    ["suite", "a definition's suites that the service does not have", /handshake failure/i],
    ["other", "the gateway's certificate where the service wants another", /unknown ca|certificate|closed|ECONNRESET/i],
    ["repinned", "a definition's pins over the gateway's", /public key is none of those pinned/],
    ["unpinned", "a certificate that nobody trusts, where pins do not count", /self-signed certificate/],
    ["away", "a forward proxy that is not there", /ECONNREFUSED/],
  ] as const) {
    test(`${why} makes calls UNAVAILABLE, with the reason in the log`, async () => {
      assert.equal((await failureOf(through(id).unary(METHODS.echo, "hello"))).code, status.UNAVAILABLE);
      assert.match(gateway.logs, reason);
    });
  }
});
