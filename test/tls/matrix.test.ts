// The rows of spec 7.3 that stand nowhere else (the table is in README.md): what a handshake announces, mutual TLS on some
// names only, certificates of definitions, and callers that are OpenSSL, nghttp2 and grpcio. A missing tool is a visible
// skip, and a failure where CI says that everything must be there.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { missingGrpcio } from "../support/grpc/python.js";
import { GrpcService } from "../support/grpc/service.js";
import { TlsCaller } from "./caller.js";
import { type Made, make } from "./certificates.js";
import { visit } from "./harness.js";

const NAME = "test.Echo";
const PYTHON = "/usr/bin/python3";
const SCRIPT = fileURLToPath(new URL("../../../test/support/python/tls_client.py", import.meta.url));
/** The service's own answer to a call that is no gRPC: it got through. */
const PASSED = 415;

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (text += bytes.toString()));
    child.on("error", reject);
    child.on("close", () => resolve(text));
    child.stdin.end();
  });
}

function tool(name: string, argument: string): { skip: string | false } {
  const there = spawnSync(name, [argument], { stdio: "ignore" }).error === undefined;
  return { skip: there || process.env["CI"] === "true" ? false : `${name} is not installed` };
}

for (const skip of [false, true]) {
  describe(`callers of other makes, CAs ${skip ? "not announced" : "announced"}`, () => {
    let service: GrpcService;
    let gateway: Gateway;
    let made: Record<"server" | "ca" | "child" | "stranger", Made>;
    const files = {} as Record<"server" | "child" | "childKey" | "stranger" | "strangerKey", string>;

    before(async () => {
      service = await GrpcService.listen(NAME);
      const ca = await make({ name: "callers", ca: true });
      made = {
        ca,
        server: await make({ name: "localhost", names: ["localhost", "only.example"] }),
        child: await make({ name: "child", issuer: ca }),
        stranger: await make({ name: "stranger" }),
      };
      const strict = { use_mutual_tls_auth: true, client_certificates: [ca.cert] };
      const api = (id: string, more: object) =>
        keyless({ id, target: service.target, path: `/${id}`, proxy: { strip_listen_path: true }, more: { ...more } });
      gateway = await startGateway({
        settings: {
          enable_custom_domains: true,
          http_server_options: {
            use_ssl: true,
            ssl_certificates: [made.server.pem],
            skip_client_ca_announcement: skip,
          },
        },
        definitions: [api("open", {}), api("only", { domain: "only.example", ...strict })],
      });
      for (const [name, text] of Object.entries({
        server: made.server.cert,
        child: made.child.cert,
        childKey: made.child.key,
        stranger: made.stranger.cert,
        strangerKey: made.stranger.key,
      })) {
        const file = join(gateway.directory, `${name}.pem`);
        writeFileSync(file, text);
        files[name as keyof typeof files] = file;
      }
    });

    after(async () => {
      await gateway?.stop();
      service?.close();
    });

    test("the CAs of the list are named in the handshake, or not", tool("openssl", "version"), async () => {
      const text = await run("openssl", [
        ...["s_client", "-tls1_2", "-servername", "only.example", "-connect", `127.0.0.1:${gateway.port}`],
        ...["-cert", files.child, "-key", files.childKey],
      ]);
      if (skip) assert.match(text, /No client certificate CA names sent/);
      else assert.match(text, /Acceptable client certificate CA names\nCN ?= ?callers/);
    });

    test("a name where nobody asks for certificates asks for none", tool("openssl", "version"), async () => {
      const text = await run("openssl", [
        ...["s_client", "-tls1_2", "-servername", "localhost", "-connect", `127.0.0.1:${gateway.port}`],
      ]);
      assert.doesNotMatch(text, /Requested Signature Algorithms|Client Certificate Types/);
    });

    for (const version of ["-tls1_2", "-tls1_3"]) {
      test(`openssl ${version} comes through with a listed CA's certificate`, tool("openssl", "version"), async () => {
        const text = await run("openssl", [
          ...["s_client", version, "-alpn", "h2", "-servername", "only.example", "-verify_return_error"],
          ...["-CAfile", files.server, "-cert", files.child, "-key", files.childKey],
          ...["-connect", `127.0.0.1:${gateway.port}`],
        ]);
        assert.match(text, /ALPN protocol: h2/);
        assert.match(text, /Verify return code: 0 \(ok\)/);
      });
    }

    test("a listed CA's certificate is served, a stranger's connection ends", async () => {
      for (const who of ["child", "stranger"] as const) {
        const caller = new TlsCaller(gateway.port, made.server.cert, made[who], "only.example");
        const { status, body } = await caller.http("/only/x");
        caller.close();
        assert.equal(status === PASSED, who === "child", body);
      }
    });

    test("nghttp gets through where nobody asks for a certificate", tool("nghttp", "--version"), async () => {
      const text = await run("nghttp", ["-v", "--no-verify-peer", `https://localhost:${gateway.port}/open/x`]);
      assert.match(text, RegExp(`:status: ${PASSED}`));
    });

    for (const [says, name, who, code] of [
      ["without a certificate where none is asked for", "localhost", "", "OK"],
      ["with a listed CA's certificate", "only.example", "child", "OK"],
      ["without a certificate where one is asked for", "only.example", "", "UNAVAILABLE"],
      ["with a stranger's certificate", "only.example", "stranger", "UNAVAILABLE"],
      ["for a name that the certificate does not have", "wrong.example", "", "UNAVAILABLE"],
    ] as const) {
      test(`grpcio ${says} gets ${code}`, { skip: missingGrpcio() || false }, async () => {
        const path = name === "only.example" ? "only" : "open";
        const own = who === "" ? [] : [files[who], files[`${who}Key`]];
        const text = await run(PYTHON, [
          SCRIPT,
          String(gateway.port),
          name,
          `/${path}/${NAME}/Echo`,
          files.server,
          ...own,
        ]);
        assert.equal(text.trim().split("\n").at(-1), code, text);
      });
    }
  });
}

describe("certificates of definitions", () => {
  let gateway: Gateway;
  let port: number;
  const names = new Map<string, Made>();

  before(async () => {
    for (const name of ["localhost", "own.example", "off.example", "pattern.example"])
      names.set(name, await make({ name }));
    [port = 0] = await freePorts(1);
    const api = (id: string, more: object) =>
      keyless({ id, target: "h2c://127.0.0.1:1", path: `/${id}`, more: { ...more } });
    const cert = (name: string) => [names.get(name)!.pem];
    gateway = await startGateway({
      settings: {
        enable_custom_domains: true,
        http_server_options: { ssl_certificates: [names.get("localhost")!.pem] },
      },
      definitions: [
        api("own", { protocol: "https", listen_port: port, domain: "own.example", certificates: cert("own.example") }),
        api("off", {
          protocol: "https",
          listen_port: port,
          domain: "off.example",
          domain_disabled: true,
          certificates: cert("off.example"),
        }),
        api("pattern", {
          protocol: "https",
          listen_port: port,
          domain: "{sub:pattern}.example",
          // On one line, as environments hold it.
          certificates: [names.get("pattern.example")!.pem.replaceAll("\n", "\\n")],
        }),
      ],
    });
  });

  after(() => gateway?.stop());

  for (const [name, shown] of [
    ["own.example", "own.example"],
    ["off.example", "localhost"],
    ["pattern.example", "pattern.example"],
    ["unknown.example", "localhost"],
  ] as const) {
    test(`${name} is shown the certificate of ${shown}`, async () => {
      assert.equal((await visit(port, { servername: name })).shown, shown);
    });
  }
});
