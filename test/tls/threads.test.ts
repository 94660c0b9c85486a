// TLS that ends on threads of the worker: calls, checks and bounds are those of termination on the loop.
// Governed by: issue items 6 and 8; http_server_options.tls_threads.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { get } from "node:https";
import { Socket } from "node:net";
import { after, before, describe, type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { Batch, MOST_UNDER_WAY, Order, readBatch, TOOK_STEP } from "../../src/worker/tls/batch.js";
import { type ThreadLink, ThreadSocket } from "../../src/worker/tls/thread-socket.js";
import { callCases, type Pair } from "../grpc/calls.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";
import { type Made, make } from "./certificates.js";
import { api, DEADLY_GENERATION, FrontHarness, freshKeys, visit } from "./harness.js";

const NAME = "test.Echo";

describe("a gateway whose TLS ends on threads", () => {
  let service: GrpcService;
  let gateway: Gateway;
  let pair: Pair;
  let made: Made;

  before(async () => {
    service = await GrpcService.listen(NAME);
    made = await make({ name: "localhost" });
    gateway = await startGateway({
      settings: { http_server_options: { use_ssl: true, ssl_certificates: [made.pem], tls_threads: 2 } },
      definitions: [keyless({ target: service.target, path: `/${NAME}` })],
    });
    pair = {
      through: new GrpcClient(`localhost:${gateway.port}`, NAME, {}, credentials.createSsl(Buffer.from(made.cert))),
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

  test("HTTP/1.1 gets its health check", async () => {
    const status = await new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: gateway.port, path: "/hello", servername: "localhost", ca: made.cert };
      get({ ...options, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on("error", reject);
    });
    assert.equal(status, 200);
  });
});

describe("the checks of a front on threads", () => {
  let server: Made;
  let listed: Made;
  let stranger: Made;
  const front = (over: object) => ({
    http_server_options: { use_ssl: true, ssl_certificates: [server.pem], tls_threads: 1, ...over },
  });
  const start = async (t: TestContext, strict: boolean, over: object = {}): Promise<FrontHarness> => {
    const harness = new FrontHarness({ threadFile: new URL("./mortal-thread.js", import.meta.url) }).listen();
    t.after(() => harness.close());
    harness.front.tickets(freshKeys());
    const more = strict ? { use_mutual_tls_auth: true, client_certificates: [listed.cert] } : {};
    harness.configure([api("one", "", more)], front(over));
    await serving(harness);
    return harness;
  };
  const serving = (harness: FrontHarness, threads = 1): Promise<void> =>
    until(`${threads} threads serve`, () => harness.front.threadsServing === threads);

  before(async () => {
    [server, listed, stranger] = await Promise.all([
      make({ name: "localhost" }),
      make({ name: "listed" }),
      make({ name: "stranger" }),
    ]);
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const only = { minVersion: version, maxVersion: version } as const;

    test(`${version}: a listed certificate passes, also when it resumes, and is known on the loop`, async (t) => {
      const harness = await start(t, true);
      const proof = { ...only, cert: listed.cert, key: listed.key };
      const first = await visit(harness.port, proof);
      assert.equal(first.answer, "heard hello");
      const again = await visit(harness.port, { ...proof, session: first.session });
      assert.deepEqual([again.answer, again.resumed], ["heard hello", true]);
      for (const { transport } of harness.seen) {
        assert.equal(transport.peer?.fingerprint, listed.fingerprint);
        assert.match(transport.peer?.leaf.subject ?? "", /listed/);
        assert.equal(transport.protocol, "h2");
      }
    });

    test(`${version}: another certificate and none do not pass, with or without a ticket`, async (t) => {
      const harness = await start(t, true);
      const foreign = { ...only, cert: stranger.cert, key: stranger.key };
      for (const proof of [foreign, only]) {
        const came = await visit(harness.port, proof);
        assert.doesNotMatch(came.answer, /^heard/);
        const again = await visit(harness.port, { ...proof, session: came.session });
        assert.doesNotMatch(again.answer, /^heard/);
      }
      assert.equal(harness.seen.length, 0);
    });
  }

  test("an allow list that changed counts for a ticket from before", async (t) => {
    const harness = await start(t, true);
    const proof = { cert: listed.cert, key: listed.key };
    const first = await visit(harness.port, proof);
    const more = { use_mutual_tls_auth: true, client_certificates: [stranger.cert] };
    harness.configure([api("one", "", more)], front({}));
    await until("the new list is in force", async () => {
      const came = await visit(harness.port, { cert: stranger.cert, key: stranger.key });
      return came.answer === "heard hello";
    });
    const again = await visit(harness.port, { ...proof, session: first.session });
    assert.doesNotMatch(again.answer, /^heard/);
  });

  test("handshakes are counted for the worker", async (t) => {
    const harness = await start(t, false);
    const { session } = await visit(harness.port);
    await visit(harness.port, { session });
    await until("both are counted", () => harness.front.counts.full === 1 && harness.front.counts.resumed === 1);
  });

  test("a caller that never finishes its handshake is cut, and pending until then", async (t) => {
    const harness = await start(t, false, { handshake_timeout: 0.1 });
    const idle = new Socket().connect(harness.port, "127.0.0.1");
    t.after(() => idle.destroy());
    idle.resume();
    const closed = new Promise((resolve) => idle.on("close", resolve));
    await until("it is pending", () => harness.front.pending === 1);
    await closed;
    await until("nothing is pending", () => harness.front.pending === 0);
  });

  test("a thread that dies takes its connections with it and is replaced; callers after it are served", async (t) => {
    const harness = await start(t, false);
    const caller = connect({ host: "127.0.0.1", port: harness.port, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    t.after(() => caller.destroy());
    caller.on("error", () => {});
    caller.resume();
    caller.write("hello");
    const closed = new Promise((resolve) => caller.on("close", resolve));
    await until("it has come through", () => harness.seen.length === 1);
    harness.front.tickets({ ...freshKeys(), generation: DEADLY_GENERATION });
    await closed;
    await until("no thread serves", () => harness.front.threadsServing === 0);
    // Without a thread the loop does it.
    assert.equal((await visit(harness.port)).answer, "heard hello");
    harness.front.tickets(freshKeys());
    await serving(harness);
    assert.equal((await visit(harness.port)).answer, "heard hello");
  });
});

describe("batches between the loop and a thread", () => {
  test("orders and octets come out as they went in, whatever their number", () => {
    const batch = new Batch();
    const sent: [number, number, string | number][] = [];
    for (let n = 0; n < 500; n++) {
      const octets = randomBytes(n % 7 === 0 ? 1_000 : n % 3);
      batch.addData(n, octets);
      sent.push([Order.DATA, n, octets.toString("hex")]);
      batch.add(Order.TOOK, n, n * 1_000);
      sent.push([Order.TOOK, n, n * 1_000]);
    }
    const got: [number, number, string | number][] = [];
    readBatch(batch.take(), (order, connection, value, bytes) => {
      got.push([order, connection, order === Order.DATA ? bytes.toString("hex") : value]);
    });
    assert.deepEqual(got, sent);
    assert.ok(batch.empty);
    readBatch(batch.take(), () => assert.fail("nothing was added"));
  });
});

describe("the loop's end of a connection on a thread", () => {
  const linked = () => {
    const said: string[] = [];
    const link: ThreadLink = {
      data: (_connection, bytes) => said.push(`data ${bytes.length}`),
      took: (_connection, octets) => said.push(`took ${octets}`),
      end: () => said.push("end"),
      closed: (_connection, known) => said.push(`closed ${known}`),
    };
    return { said, socket: new ThreadSocket(link, 1, "127.0.0.1") };
  };

  test("what is written is confirmed at once until too much is under way, then when it has left", () => {
    const { socket } = linked();
    socket.write(Buffer.alloc(MOST_UNDER_WAY - 1));
    assert.equal(socket.writableLength, 0);
    socket.write(Buffer.alloc(10));
    assert.equal(socket.writableLength, 10);
    assert.equal(socket._handle.writeQueueSize, MOST_UNDER_WAY + 9);
    socket.written(TOOK_STEP);
    assert.equal(socket.writableLength, 0);
  });

  test("what a reader does not want waits for it in order, and is confirmed only when it was taken", () => {
    const { said, socket } = linked();
    const block = Buffer.alloc(50_000);
    const read: number[] = [];
    let wanted = true;
    socket.open(
      () => block,
      (n) => {
        read.push(n);
        return wanted;
      },
    );
    wanted = false;
    socket.deliver(Buffer.alloc(60_000));
    socket.deliver(Buffer.alloc(30_000));
    assert.deepEqual([read, said], [[50_000], []]);
    wanted = true;
    socket.resume();
    assert.deepEqual([read, said], [[50_000, 10_000, 30_000], ["took 90000"]]);
  });

  test("its end and its close are told once", async () => {
    const { said, socket } = linked();
    socket.end("last");
    socket.destroy();
    socket.destroy();
    await new Promise((resolve) => socket.on("close", resolve));
    assert.deepEqual(said, ["data 4", "end", "closed false"]);
    const other = linked();
    other.socket.lost();
    await new Promise((resolve) => other.socket.on("close", resolve));
    assert.deepEqual(other.said, ["closed true"]);
  });
});
