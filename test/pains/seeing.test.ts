// Responsible for: pains 18 and 31 of other gateways' users: what an operator is told of a call that has ended.
// Must not know: the gateway's insides. Governed by: README.md beside this file; docs/metrics.md names every reason. One gateway.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Scrape } from "../observe/prometheus.js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";
import { type WireRequest, WireServer } from "../support/wire/server.js";

const NAME = "test.Echo";
const GRPC: Field = ["content-type", "application/grpc"];

type Line = Record<string, string | number>;
type End = [by: string, reason: string | undefined, grpc: string];

interface Ending {
  says: string;
  method: string;
  end: End;
  run: (scene: { client: WireClient; stream: number; request: () => Promise<WireRequest> }) => Promise<void>;
}

const GIVEN = Buffer.from("1000:100000");
const prefixed = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, bytes.length]), bytes]);

const endings: Ending[] = [
  {
    says: "the service, by its own status",
    method: "led.Api/Served",
    end: ["service", undefined, "OUT_OF_RANGE"],
    run: async ({ request }) => {
      const it = await request();
      it.connection.reply(it.stream, { fields: [GRPC, ["grpc-status", "11"]] });
    },
  },
  {
    says: "the service, by a reset that is an answer",
    method: "led.Api/Cancelled",
    end: ["service", "service_reset", "CANCELLED"],
    run: async ({ request }) => {
      const it = await request();
      it.connection.send(f.reset(it.stream, f.Code.CANCEL));
    },
  },
  {
    says: "the service, by a reset that is a fault",
    method: "led.Api/Reset",
    end: ["network", "service_reset", "INTERNAL"],
    run: async ({ request }) => {
      const it = await request();
      it.connection.send(f.reset(it.stream, f.Code.INTERNAL_ERROR));
    },
  },
  {
    says: "the service, whose connection is lost",
    method: "led.Api/Lost",
    end: ["network", "upstream_lost", "UNAVAILABLE"],
    run: async ({ request }) => (await request()).connection.close(),
  },
  {
    says: "the service, which broke the protocol",
    method: "led.Api/Broken",
    end: ["network", "upstream_fault", "UNAVAILABLE"],
    run: async ({ request }) => {
      const it = await request();
      it.connection.send(f.headers(it.stream, block([":status", "200"], ["UPPER", "case"])));
    },
  },
  {
    says: "nobody's service: it cannot be reached",
    method: "nobody.Api/M",
    end: ["network", "unreachable", "UNAVAILABLE"],
    run: async () => undefined,
  },
  {
    says: "the caller, by a reset",
    method: "led.Api/Gone",
    end: ["caller", "caller_reset", "CANCELLED"],
    run: async ({ client, stream, request }) => {
      await request();
      client.send(f.reset(stream, f.Code.CANCEL));
    },
  },
  {
    says: "the caller, whose connection is gone",
    method: "led.Api/Torn",
    end: ["caller", "caller_gone", "CANCELLED"],
    run: async ({ client, request }) => {
      await request();
      client.close();
    },
  },
  {
    says: "the caller, whose stream broke the protocol",
    method: "led.Api/Fault",
    end: ["caller", "caller_fault", "CANCELLED"],
    run: async ({ client, stream, request }) => {
      await request();
      client.send(f.windowUpdate(stream, 0));
    },
  },
  {
    says: "the caller, whose connection broke the protocol",
    method: "led.Api/Fatal",
    end: ["caller", "caller_fault", "CANCELLED"],
    run: async ({ client, request }) => {
      await request();
      client.send(f.frame(f.Type.PING, 0, 0, "short"));
    },
  },
  {
    says: "the caller's own deadline",
    method: "led.Api/Deadline",
    end: ["gateway", "deadline", "DEADLINE_EXCEEDED"],
    run: async () => undefined,
  },
  {
    says: "the operator's bound for the method",
    method: "led.Api/Bounded",
    end: ["gateway", "hard_timeout", "DEADLINE_EXCEEDED"],
    run: async () => undefined,
  },
  {
    says: "a limit of the method",
    method: "led.Api/Limited",
    end: ["gateway", "request_message_size", "RESOURCE_EXHAUSTED"],
    run: async ({ client, stream }) => void client.send(f.data(stream, Buffer.alloc(5 + 101).fill(101, 4, 5))),
  },
  {
    says: "the time in which a caller has to take something",
    method: `${NAME}/Give`,
    end: ["gateway", "write_timeout", "CANCELLED"],
    run: async ({ client, stream }) => {
      client.send(f.windowUpdate(0, f.MAX_WINDOW - 65_535), f.windowUpdate(stream, f.MAX_WINDOW - 65_535));
      client.send(f.data(stream, prefixed(GIVEN), { end: true }));
      client.socket.pause();
    },
  },
];

describe("what is told of calls that have ended", () => {
  let service: GrpcService;
  let led: WireServer;
  let gateway: Gateway;

  before(async () => {
    service = await GrpcService.listen(NAME);
    led = await WireServer.listen();
    const [nobody = 0] = await freePorts(1);
    const bounded = { hard_timeouts: [{ path: "/led.Api/Bounded", method: "POST", duration: "20ms" }] };
    const definitions = [
      keyless({ id: "echo", target: service.target, path: `/${NAME}` }),
      keyless({ id: "nobody", target: `h2c://127.0.0.1:${nobody}`, path: "/nobody.Api" }),
      keyless({
        id: "led",
        target: led.target,
        path: "/led.Api",
        more: {
          sluice: { message_limits: { request_bytes: 100 } },
          version_data: {
            not_versioned: true,
            versions: { Default: { name: "Default", use_extended_paths: true, extended_paths: bounded } },
          },
        },
      }),
    ];
    gateway = await startGateway({
      definitions,
      settings: {
        access_logs: { enabled: true, template: ["path", "status", "grpc_status", "ended_by", "reason"] },
        http_server_options: { write_timeout: 0.3 },
        max_buffered_bytes: 8 * 1024 * 1024,
        graceful_shutdown_timeout_duration: 0.2,
      },
    });
  });

  after(async () => {
    await gateway?.stop();
    service?.close();
    await led?.close();
  });

  const linesOf = (): Line[] =>
    gateway.logs
      .split("\n")
      .filter((line) => line.includes('"name":"access"') && line.endsWith("}"))
      .map((line) => JSON.parse(line) as Line);

  /** The only line of a path. */
  async function lineOf(path: string): Promise<Line> {
    const found = (): Line[] => linesOf().filter((line) => line["path"] === path);
    await until(`there is a line of ${path}`, () => found().length > 0);
    assert.equal(found().length, 1, path);
    return found()[0]!;
  }

  const endOf = (line: Line): unknown[] => [line["ended_by"], line["reason"], line["grpc_status"]];

  /** A call whose request stays open. */
  async function begin(path: string, more: Field[] = []): Promise<{ client: WireClient; stream: number }> {
    const client = await WireClient.ready(gateway.port);
    const stream = client.newStream();
    client.send(f.headers(stream, block(...grpcRequest(path), ...more)));
    return { client, stream };
  }

  /** Requests of other cases, which nobody has answered, are passed over. */
  async function requestOf(path: string): Promise<WireRequest> {
    for (;;) {
      const it = await led.request();
      if (it.fields.some((field) => field.name === ":path" && field.value === path)) return it;
    }
  }

  for (const it of endings)
    test(`peers 31: the log says that a call was ended by ${it.says}`, async () => {
      const path = `/${it.method}`;
      const deadline: Field[] = it.method.endsWith("Deadline") ? [["grpc-timeout", "20m"]] : [];
      const { client, stream } = await begin(path, deadline);
      try {
        await it.run({ client, stream, request: () => requestOf(path) });
        assert.deepEqual(endOf(await lineOf(path)), it.end);
      } finally {
        client.close();
      }
    });

  test("peers 31: the log says that calls were ended because the gateway held too much for slow receivers", async () => {
    const client = await WireClient.ready(gateway.port, [f.Setting.INITIAL_WINDOW_SIZE, 0]);
    for (let at = 0; at < 200; at++) {
      const stream = client.newStream();
      const head = f.headers(stream, block(...grpcRequest(`/${NAME}/Give`)));
      client.send(head, f.data(stream, prefixed(GIVEN), { end: true }));
    }
    await until("some of them were ended", () => linesOf().some(({ reason }) => reason === "overload"));
    const ends = linesOf().filter(({ reason }) => reason === "overload");
    for (const line of ends) assert.deepEqual(endOf(line), ["gateway", "overload", "RESOURCE_EXHAUSTED"]);
    client.close();
  });

  test("peers 18: a call that failed under HTTP 200 is seen as failed in the log and in the metrics, wherever its status stood", async () => {
    const client = new GrpcClient(gateway.port, NAME);
    await failureOf(client.unary(METHODS.fail, "7:no"));
    await client.read(METHODS.failLate, "9:late");
    await client.unary(METHODS.echo, "fine");
    client.close();
    const seen: Line[] = [];
    for (const method of ["Fail", "FailLate", "Echo"]) seen.push(await lineOf(`/${NAME}/${method}`));
    assert.deepEqual(
      seen.map((line) => [line["status"], line["grpc_status"]]),
      [
        [200, "PERMISSION_DENIED"],
        [200, "FAILED_PRECONDITION"],
        [200, "OK"],
      ],
    );
    let counted: Record<string, number> = {};
    await until("they are counted", async () => {
      const scrape = await Scrape.of(gateway.controlPort);
      counted = scrape.by("grpc_status", "sluice_calls_total", { service: NAME, method: "Fail" });
      for (const method of ["FailLate", "Echo"])
        counted = { ...counted, ...scrape.by("grpc_status", "sluice_calls_total", { service: NAME, method }) };
      return Object.values(counted).reduce((sum, it) => sum + it, 0) === 3;
    });
    assert.deepEqual(counted, { PERMISSION_DENIED: 1, FAILED_PRECONDITION: 1, OK: 1 });
  });

  test("peers 31: the log says that a call was ended by the gateway's own end", async () => {
    const { client } = await begin("/led.Api/Last");
    await requestOf("/led.Api/Last");
    gateway.signal("SIGTERM");
    assert.deepEqual(endOf(await lineOf("/led.Api/Last")), ["gateway", "shutdown", "UNAVAILABLE"]);
    client.close();
  });
});
