// TLS in front of a cleartext service: what independent clients see of certificates, versions, protocols and calls.
// Governed by: spec 6.7 and 7.1; RFC 9113 section 3.2.

import assert from "node:assert/strict";
import { connect as http2Connect } from "node:http2";
import { get } from "node:https";
import { after, before, describe, test } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { callCases, type Pair } from "../grpc/calls.js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { type Made, make } from "./certificates.js";

const NAME = "test.Echo";

interface Outcome {
  readonly protocol: string | null;
  readonly cipher: string;
  readonly shown: string;
}

/** What a handshake came to; the socket is closed again. */
function handshake(port: number, options: ConnectionOptions): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ALPNProtocols: ["h2"], ...options }, () => {
      const shown = String(socket.getPeerCertificate().subject.CN);
      resolve({ protocol: socket.getProtocol(), cipher: socket.getCipher().name, shown });
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

describe("TLS in front of a cleartext service", () => {
  let service: GrpcService;
  let gateway: Gateway;
  let pair: Pair;
  let ec: Made;
  let rsa: Made;
  let other: Made;

  before(async () => {
    service = await GrpcService.listen(NAME);
    [ec, rsa, other] = await Promise.all([
      make({ name: "localhost" }),
      make({ name: "localhost", kind: "rsa" }),
      make({ name: "other.example", names: ["other.example", "*.wild.example"] }),
    ]);
    gateway = await startGateway({
      settings: {
        enable_custom_domains: true,
        http_server_options: { use_ssl: true, ssl_certificates: [rsa.pem, ec.pem] },
      },
      definitions: [
        keyless({ target: service.target, path: `/${NAME}` }),
        keyless({
          id: "other",
          target: service.target,
          path: "/",
          more: { domain: "other.example", certificates: [other.pem] },
        }),
      ],
    });
    pair = {
      through: new GrpcClient(
        `localhost:${gateway.port}`,
        NAME,
        {},
        credentials.createSsl(Buffer.from(ec.cert + rsa.cert)),
      ),
      direct: new GrpcClient(service.port, NAME),
    };
  });

  after(async () => {
    pair?.through.close();
    pair?.direct.close();
    await gateway?.stop();
    service?.close();
  });

  for (const it of callCases) test(`grpc-js: ${it.says}`, () => it.run(pair));

  test("the service learns the caller's address", async () => {
    await pair.through.unary(METHODS.echo, "");
    assert.equal(service.forwardedFor.at(-1), "127.0.0.1");
  });

  test("node:http2 negotiates h2 and gets the gateway's answer", async () => {
    const session = http2Connect(`https://localhost:${gateway.port}`, { ca: ec.cert + rsa.cert });
    try {
      const stream = session.request({ ":path": "/nobody" });
      const status = await new Promise((resolve, reject) => {
        stream.on("response", (headers) => resolve(headers[":status"]));
        session.on("error", reject);
      });
      assert.equal(status, 404);
      assert.equal(session.alpnProtocol, "h2");
    } finally {
      session.destroy();
    }
  });

  for (const [protocols, path, status] of [
    [["http/1.1"], "/hello", 200],
    [["http/1.1"], "/other", 505],
    [undefined, "/ready", 200],
  ] as const) {
    test(`without h2 (${protocols ?? "no ALPN"}) ${path} is answered ${status} over HTTP/1.1`, async () => {
      const found = await new Promise((resolve, reject) => {
        const options = {
          host: "127.0.0.1",
          port: gateway.port,
          path,
          servername: "localhost",
          ca: ec.cert + rsa.cert,
        };
        const alpn = protocols === undefined ? {} : { ALPNProtocols: [...protocols] };
        get({ ...options, ...alpn, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on("error", reject);
      });
      assert.equal(found, status);
    });
  }

  test("the HTTP/2 preface without ALPN ends the connection", async () => {
    const socket = connect({ host: "127.0.0.1", port: gateway.port, ca: ec.cert + rsa.cert, servername: "localhost" });
    socket.on("error", () => {});
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.resume();
    await new Promise((resolve) => socket.on("close", resolve));
  });

  for (const [name, expected] of [
    ["localhost", "localhost"],
    ["other.example", "other.example"],
    ["a.wild.example", "other.example"],
    ["a.b.wild.example", "localhost"],
    ["unknown.example", "localhost"],
    ["", "localhost"],
  ] as const) {
    test(`a caller that asks for ${name || "no name"} is shown the certificate of ${expected}`, async () => {
      const { shown } = await handshake(gateway.port, { servername: name, rejectUnauthorized: false });
      assert.equal(shown, expected);
    });
  }

  test("of two certificates for a name the caller gets the one it can check", async () => {
    const base = { servername: "localhost", rejectUnauthorized: false, maxVersion: "TLSv1.2" } as const;
    const first = await handshake(gateway.port, { ...base, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" });
    assert.match(first.cipher, /ECDSA/);
    const second = await handshake(gateway.port, { ...base, ciphers: "ECDHE-RSA-AES128-GCM-SHA256" });
    assert.match(second.cipher, /RSA/);
  });
});

describe("versions and suites in front", () => {
  let gateway: Gateway;

  before(async () => {
    const { pem } = await make({ name: "localhost" });
    gateway = await startGateway({
      settings: {
        http_server_options: {
          use_ssl: true,
          ssl_certificates: [pem],
          min_version: 771,
          max_version: 771,
          ssl_ciphers: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
        },
      },
      definitions: [keyless({ target: "h2c://127.0.0.1:1" })],
    });
  });

  after(() => gateway?.stop());

  test("a suite of the list is taken", async () => {
    const { protocol, cipher } = await handshake(gateway.port, { rejectUnauthorized: false });
    assert.deepEqual([protocol, cipher], ["TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"]);
  });

  test("another suite is refused", async () => {
    const options = {
      rejectUnauthorized: false,
      ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256",
      maxVersion: "TLSv1.2",
    } as const;
    await assert.rejects(handshake(gateway.port, options), /handshake failure/);
  });

  test("a version above the highest is refused", async () => {
    const options = { rejectUnauthorized: false, minVersion: "TLSv1.3" } as const;
    await assert.rejects(handshake(gateway.port, options), /protocol version/);
  });
});

describe("a TLS port without a certificate", () => {
  let gateway: Gateway;

  let port = 0;

  before(async () => {
    // On a port of its own: with use_ssl the control port would refuse everybody too.
    [port = 0] = await freePorts(1);
    gateway = await startGateway({
      definitions: [keyless({ target: "h2c://127.0.0.1:1", more: { protocol: "https", listen_port: port } })],
    });
  });

  after(() => gateway?.stop());

  test("answers the alert unrecognized_name", async () => {
    await assert.rejects(handshake(port, { rejectUnauthorized: false }), /unrecognized name/);
  });
});
