// /metrics of real gateways against what a load client has counted, over two workers and across what becomes of workers.

import assert from "node:assert/strict";
import { connect } from "node:http2";
import { after, before, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";
import { Scrape } from "./prometheus.js";

const SERVICE = "test.Echo";

let service: GrpcService;
let gateway: Gateway;

before(async () => {
  service = await GrpcService.listen(SERVICE);
  gateway = await startGateway({
    definitions: [keyless({ target: service.target, id: "echo" })],
    settings: { graceful_shutdown_timeout_duration: 10, metrics: { methods_per_api: 20 } },
    workers: 2,
  });
});

after(async () => {
  await gateway?.stop();
  service?.close();
});

/** Calls of a known kind from clients of their own connections, counted as the clients saw them. */
class Counted {
  /** By `method status`. */
  readonly calls = new Map<string, number>();
  requestBytes = 0;
  responseBytes = 0;
  responseMessages = 0;

  async run(port: number, clients: number, rounds: number): Promise<void> {
    const each = Array.from({ length: clients }, async () => {
      const client = new GrpcClient(port, SERVICE, { "grpc.enable_retries": 1 });
      for (let n = 0; n < rounds; n++) await this.#round(client, n);
      client.close();
    });
    await Promise.all(each);
  }

  async #round(client: GrpcClient, n: number): Promise<void> {
    const text = "x".repeat(n * 10);
    await client.unary(METHODS.echo, text);
    this.#note("Echo", status.OK, text.length, text.length, 1);
    const code = [status.NOT_FOUND, status.INTERNAL, status.OUT_OF_RANGE][n % 3]!;
    await assert.rejects(client.unary(METHODS.fail, `${code}:no`));
    this.#note("Fail", code, `${code}:no`.length);
    const given = await client.read(METHODS.give, "5:100");
    assert.equal(given.status.code, status.OK);
    this.#note("Give", status.OK, 5, 500, 5);
  }

  #note(method: string, code: number, sent: number, received = 0, messages = 0): void {
    const key = `${method} ${status[code]}`;
    this.calls.set(key, (this.calls.get(key) ?? 0) + 1);
    this.requestBytes += sent + 5;
    this.responseBytes += received + messages * 5;
    this.responseMessages += messages;
  }
}

const countedBy = (scrape: Scrape): Map<string, number> => {
  const found = new Map<string, number>();
  for (const { labels, value } of scrape.matching("sluice_calls_total", { api: "echo", service: SERVICE }))
    found.set(`${labels?.["method"]} ${labels?.["grpc_status"]}`, Number(value));
  return found;
};

const sorted = (map: Map<string, number>): [string, number][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

test("what may be counted of any gateway stands at 0 from the start, so that its first increment is one", async () => {
  const scrape = await Scrape.of(gateway.controlPort);
  assert.deepEqual(
    scrape.matching("sluice_log_lines_dropped_total", {}).map(({ value }) => value),
    ["0"],
  );
  assert.deepEqual(scrape.by("reason", "sluice_unrouted_requests_total"), {
    no_route: 0,
    health: 0,
    method: 0,
    certificate: 0,
  });
  const ends = scrape.by("by", "sluice_calls_ended_total", { api: "echo" });
  assert.deepEqual(ends, { service: 0, network: 0, gateway: 0, caller: 0 });
  assert.ok(scrape.matching("sluice_calls_ended_total", { by: "gateway", reason: "deadline" }).length === 1);
});

const counted = new Counted();

/** A caller may know of its response before the gateway's own end of the turn, and a scrape is told at most once a second. */
const untilCounted = async (): Promise<Scrape> => {
  let scrape = await Scrape.of(gateway.controlPort);
  await until("all calls are counted", async () => {
    scrape = await Scrape.of(gateway.controlPort);
    const total = [...counted.calls.values()].reduce((sum, n) => sum + n, 0);
    return scrape.sum("sluice_calls_total", { service: SERVICE }) >= total;
  });
  return scrape;
};

test("calls, octets and messages are those that the client counted, per method and status, over two workers", async () => {
  await counted.run(gateway.port, 6, 12);
  const scrape = await untilCounted();
  assert.deepEqual(sorted(countedBy(scrape)), sorted(counted.calls));
  assert.equal(scrape.sum("sluice_request_bytes_total", { api: "echo" }), counted.requestBytes);
  assert.equal(scrape.sum("sluice_response_bytes_total", { api: "echo" }), counted.responseBytes);
  assert.equal(scrape.sum("sluice_response_messages_total", { api: "echo" }), counted.responseMessages);
  const calls = [...counted.calls.values()].reduce((sum, n) => sum + n, 0);
  assert.equal(scrape.sum("sluice_request_messages_total", { api: "echo" }), calls);
  const durations = scrape.lines("sluice_call_duration_seconds_count", 'api="echo"');
  assert.equal(
    durations.reduce((sum, n) => sum + n, 0),
    calls,
  );
  assert.equal(scrape.sum("sluice_workers"), 2);
  // A worker that got no call yet may still be about to connect.
  await until("both workers have the target", async () => {
    const now = await Scrape.of(gateway.controlPort);
    const shares = now.matching("sluice_target_serves", { target: `127.0.0.1:${new URL(service.target).port}` });
    return shares.map(({ value }) => Number(value)).join() === "2";
  });
});

test("nothing is lost in a rolling restart under load", async () => {
  const load = counted.run(gateway.port, 6, 40);
  const before = new Set(await gateway.workers());
  gateway.signal("SIGUSR2");
  await load;
  await until("the old workers have left", async () => !(await gateway.workers()).some((pid) => before.has(pid)));
  await counted.run(gateway.port, 2, 3);
  const scrape = await untilCounted();
  assert.deepEqual(sorted(countedBy(scrape)), sorted(counted.calls));
  assert.equal(scrape.sum("sluice_restarts_total", { outcome: "done" }), 1);
  assert.equal(scrape.sum("sluice_worker_deaths_total"), 0);
});

test("what a killed worker had told stays counted, and its death is", async () => {
  const [victim = 0] = await gateway.workers();
  process.kill(victim, "SIGKILL");
  await until("there are two again", async () => {
    const scrape = await Scrape.of(gateway.controlPort);
    return scrape.sum("sluice_workers") === 2 && scrape.sum("sluice_worker_deaths_total") === 1;
  });
  assert.deepEqual(sorted(countedBy(await Scrape.of(gateway.controlPort))), sorted(counted.calls));
});

test("calls under way are shown, and no more when they have ended", async () => {
  const client = new GrpcClient(gateway.port, SERVICE);
  const held = client.reading(METHODS.hold, "open:first");
  const open = async () => (await Scrape.of(gateway.controlPort)).by("method", "sluice_calls_open")["Hold"] ?? 0;
  await new Promise((resolve) => held.once("data", resolve));
  // Until the service has answered a call of it the name is nobody's.
  await until("it is shown", async () => {
    const by = (await Scrape.of(gateway.controlPort)).by("method", "sluice_calls_open");
    return (by["Hold"] ?? 0) + (by["other"] ?? 0) === 1;
  });
  held.cancel();
  await until("it is not shown any more", async () => (await open()) === 0);
  client.close();
});

test("callers that invent methods make no names", async () => {
  const client = new GrpcClient(gateway.port, "made.Up");
  const calls = Array.from({ length: 50 }, (_, n) =>
    client.unary({ name: `Invented${n}`, requestStream: false, responseStream: false }, "x").catch(() => undefined),
  );
  await Promise.all(calls);
  client.close();
  let scrape = await Scrape.of(gateway.controlPort);
  await until("they are counted", async () => {
    scrape = await Scrape.of(gateway.controlPort);
    return scrape.sum("sluice_calls_total", { method: "other", grpc_status: "UNIMPLEMENTED" }) === 50;
  });
  assert.equal(scrape.text.includes("Invented"), false);
  assert.equal(scrape.text.includes("made.Up"), false);
});

test("what the gateway refuses is counted by its reason", async () => {
  const client = new GrpcClient(gateway.port, SERVICE);
  await assert.rejects(client.unary(METHODS.watch, "nobody", undefined, { deadline: Date.now() + 50 }));
  client.close();
  await until("it is counted", async () => {
    const ends = (await Scrape.of(gateway.controlPort)).matching("sluice_calls_ended_total", { api: "echo" });
    return ends.some(
      ({ labels, value }) => Number(value) > 0 && ["deadline", "caller_reset"].includes(labels?.["reason"] ?? ""),
    );
  });
});

test("the text says what each family is, and times are cumulative", async () => {
  const scrape = await Scrape.of(gateway.controlPort);
  assert.equal(scrape.family("sluice_calls_total")?.type, "COUNTER");
  assert.equal(scrape.family("sluice_call_duration_seconds")?.type, "HISTOGRAM");
  const buckets = scrape.lines("sluice_call_duration_seconds_bucket", 'method="Echo"');
  assert.deepEqual(
    buckets,
    [...buckets].sort((a, b) => a - b),
  );
  assert.deepEqual([buckets.at(-1)], scrape.lines("sluice_call_duration_seconds_count", 'method="Echo"'));
  for (const name of [
    "sluice_event_loop_delay_seconds",
    "sluice_memory_bytes",
    "sluice_cpu_seconds_total",
    "sluice_info",
  ])
    assert.notEqual(scrape.family(name), undefined, name);
});

test("without the secret it is told where only this host can ask, or where the operator says so", async (context) => {
  const elsewhere = await startGateway({
    definitions: [],
    settings: { control_api_address: "0.0.0.0", metrics: { enabled: true } },
  });
  context.after(() => elsewhere.stop());
  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${elsewhere.controlPort}${path}`, { headers }).then((answer) => answer.status);
  assert.equal(await ask("/metrics"), 403);
  assert.equal(await ask("/metrics", { "x-tyk-authorization": "test-secret" }), 200);
  assert.equal(await ask("/tyk/metrics"), 403);
  assert.equal(await ask("/tyk/metrics", { "x-tyk-authorization": "test-secret" }), 200);
});

test("on the main port only with the secret, and only under /tyk", async (context) => {
  const one = await startGateway({ definitions: [], settings: { control_api_port: 0, metrics_public: true } });
  context.after(() => one.stop());
  const ask = (path: string, headers: Record<string, string> = {}) => statusOverHttp2(one.port, path, headers);
  assert.equal(await ask("/metrics"), 404);
  assert.equal(await ask("/tyk/metrics"), 403);
  assert.equal(await ask("/tyk/metrics", { "x-tyk-authorization": "test-secret" }), 200);
});

function statusOverHttp2(port: number, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", reject);
    const stream = session.request({ ":path": path, ...headers });
    stream.on("response", (fields) => {
      resolve(Number(fields[":status"]));
      session.destroy();
    });
  });
}
