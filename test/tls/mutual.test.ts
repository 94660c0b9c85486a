// Client certificates asked for by definitions: the matrix of spec 7.3 through a real gateway, for gRPC callers and for
// others, with CAs announced and not. Governed by: spec 6.2, 6.7 and 7.3; issue items 3 and 8.

import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { after, before, describe, test } from "node:test";
import { credentials, status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { type Made, make } from "./certificates.js";

const NAME = "test.Echo";

interface Answered {
  readonly status: number | string;
  readonly body: string;
}

/** A GET over HTTP/2; the status, or what ended the connection instead. */
function ask(port: number, name: string, path: string, made?: Pick<Made, "cert" | "key">): Promise<Answered> {
  return new Promise((resolve) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, {
      rejectUnauthorized: false,
      servername: name,
      ...(made === undefined ? {} : { cert: made.cert, key: made.key }),
    });
    let body = "";
    const done = (answered: Answered): void => {
      session.destroy();
      resolve(answered);
    };
    let status: number | string = "closed";
    const stream = session.request({ ":path": path, ":authority": name || `127.0.0.1:${port}` });
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
    });
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      body += text;
    });
    stream.on("end", () => done({ status, body }));
    for (const emitter of [stream, session])
      emitter.on("error", (error: NodeJS.ErrnoException) => done({ status: error.message, body }));
    session.on("close", () => done({ status, body }));
  });
}

const REFUSED = /certificate|handshake|closed|ECONNRESET|EPIPE|destroyed|hang up/i;

for (const skip of [false, true]) {
  describe(`mutual TLS with CAs ${skip ? "not announced" : "announced"}`, () => {
    let gateway: Gateway;
    let service: GrpcService;
    const made = {} as Record<
      "server" | "alice" | "bob" | "ca" | "child" | "middle" | "grandchild" | "old" | "early" | "stray" | "forServers",
      Made
    >;

    before(async () => {
      service = await GrpcService.listen(NAME);
      made.server = await make({ name: "localhost", names: ["localhost", "mixed.example", "both.example"] });
      made.alice = await make({ name: "alice" });
      made.bob = await make({ name: "bob" });
      made.ca = await make({ name: "callers", ca: true, pathLength: 1 });
      made.child = await make({ name: "child", issuer: made.ca });
      made.middle = await make({ name: "middle", issuer: made.ca, ca: true });
      made.grandchild = await make({ name: "grandchild", issuer: made.middle });
      made.old = await make({ name: "old", from: -10, until: -1 });
      made.early = await make({ name: "early", from: 1, until: 10 });
      made.stray = await make({ name: "stray", issuer: await make({ name: "callers", ca: true }) });
      made.forServers = await make({ name: "web", issuer: made.ca, usage: "server" });
      const api = (id: string, domain: string, allowed: Made[] | null) =>
        keyless({
          id: `${domain}-${id}`,
          target: service.target,
          path: `/${id}`,
          proxy: { strip_listen_path: true },
          more: {
            domain,
            ...(allowed === null
              ? {}
              : { use_mutual_tls_auth: true, client_certificates: allowed.map((one) => one.cert) }),
          },
        });
      gateway = await startGateway({
        settings: {
          enable_custom_domains: true,
          http_server_options: {
            use_ssl: true,
            ssl_certificates: [made.server.pem],
            skip_client_ca_announcement: skip,
          },
        },
        definitions: [
          api("with", "", [made.alice]),
          api("without", "", null),
          api("a", "both.example", [made.alice]),
          api("b", "both.example", [made.bob]),
          api("with", "mixed.example", [made.alice]),
          api("without", "mixed.example", null),
          api("ca", "ca.example", [made.ca]),
          api("leaf", "leaf.example", [{ ...made.child, cert: made.child.cert + made.ca.cert }]),
          api("dates", "dates.example", [made.old, made.early]),
          api("dates", "seen.example", [made.old, made.early]),
          api("free", "seen.example", null),
        ],
      });
    });

    after(async () => {
      await gateway?.stop();
      service?.close();
    });

    // 415: the service itself answers, which here means that the call got through.
    const PASSED = 415;
    const cases = (): [string, string, string, Pick<Made, "cert" | "key"> | undefined, number | RegExp, RegExp?][] => [
      ["mixed names: no certificate, /without", "mixed.example", "/without", undefined, PASSED],
      [
        "mixed names: no certificate, /with",
        "mixed.example",
        "/with",
        undefined,
        403,
        /Client TLS certificate is required/,
      ],
      [
        "mixed names: another certificate",
        "mixed.example",
        "/with",
        made.bob,
        403,
        RegExp(`SHA256 ${made.bob.fingerprint} not allowed`),
      ],
      ["mixed names: the listed one", "mixed.example", "/with", made.alice, PASSED],
      ["no name: no certificate, /without", "", "/without", undefined, PASSED],
      ["no name: no certificate, /with", "", "/with", undefined, 403, /Client TLS certificate is required/],
      ["no name: the listed one", "", "/with", made.alice, PASSED],
      ["all mutual: no certificate", "both.example", "/a", undefined, REFUSED],
      ["all mutual: a certificate nobody lists", "both.example", "/a", made.child, REFUSED],
      ["all mutual: the right one", "both.example", "/a", made.alice, PASSED],
      ["all mutual: the right one of the other", "both.example", "/b", made.bob, PASSED],
      ["all mutual: that of the other API", "both.example", "/b", made.alice, 403, /not allowed/],
      ["a listed CA's child", "ca.example", "/ca", made.child, PASSED],
      [
        "its grandchild with the link",
        "ca.example",
        "/ca",
        { ...made.grandchild, cert: made.grandchild.cert + made.middle.cert },
        PASSED,
      ],
      ["its grandchild without the link", "ca.example", "/ca", made.grandchild, REFUSED],
      ["a child of another CA of the same name", "ca.example", "/ca", made.stray, REFUSED],
      ["somebody self-signed", "ca.example", "/ca", made.alice, REFUSED],
      [
        "a stranger with a listed certificate appended",
        "both.example",
        "/a",
        { ...made.stray, cert: made.stray.cert + made.alice.cert },
        REFUSED,
      ],
      [
        "the same where it is optional",
        "mixed.example",
        "/with",
        { ...made.stray, cert: made.stray.cert + made.alice.cert },
        403,
        /not allowed/,
      ],
      [
        "a stranger with the CA appended",
        "ca.example",
        "/ca",
        { ...made.alice, cert: made.alice.cert + made.ca.cert },
        REFUSED,
      ],
      ["a certificate for servers", "ca.example", "/ca", made.forServers, REFUSED],
      ["a leaf that is listed beside its CA", "leaf.example", "/leaf", made.child, PASSED],
      [
        "a sibling of a leaf that is listed beside its CA",
        "leaf.example",
        "/leaf",
        { ...made.grandchild, cert: made.grandchild.cert + made.middle.cert },
        REFUSED,
      ],
      ["expired", "dates.example", "/dates", made.old, REFUSED],
      ["not yet valid", "dates.example", "/dates", made.early, REFUSED],
      ["expired where it is optional", "seen.example", "/dates", made.old, 403, /Certificate has expired/],
      ["not yet valid where it is optional", "seen.example", "/dates", made.early, 403, /not valid yet/],
    ];

    test("every row of the matrix", async (t) => {
      for (const [says, name, path, shown, expected, body] of cases()) {
        await t.test(says, async () => {
          const answered = await ask(gateway.port, name, path, shown);
          if (typeof expected === "number") assert.equal(answered.status, expected, JSON.stringify(answered));
          else assert.match(String(answered.status), expected);
          if (body !== undefined) assert.match(answered.body, body);
        });
      }
    });

    test("grpc callers get PERMISSION_DENIED with the same words", async () => {
      const client = new GrpcClient(
        `127.0.0.1:${gateway.port}`,
        `with/${NAME}`,
        { "grpc.ssl_target_name_override": "mixed.example", "grpc.default_authority": "mixed.example" },
        credentials.createSsl(Buffer.from(made.server.cert)),
      );
      const { code, details } = await failureOf(client.unary(METHODS.echo, "hello"));
      client.close();
      assert.deepEqual([code, details], [status.PERMISSION_DENIED, "Client TLS certificate is required"]);
    });

    test("grpc callers with the listed certificate are served", async () => {
      const client = new GrpcClient(
        `127.0.0.1:${gateway.port}`,
        `a/${NAME}`,
        { "grpc.ssl_target_name_override": "both.example", "grpc.default_authority": "both.example" },
        credentials.createSsl(Buffer.from(made.server.cert), Buffer.from(made.alice.key), Buffer.from(made.alice.cert)),
      );
      const { body } = await client.unary(METHODS.echo, "hello");
      client.close();
      assert.equal(body.toString(), "hello");
    });
  });
}
