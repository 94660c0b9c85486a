// Responsible for: python grpcio as caller and as service of a real gateway, beside grpc-js as the other end.
// Must not know: the gateway's insides. Governed by: issue 2, acceptance. One gateway, two services.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient } from "../support/grpc/client.js";
import { missingGrpcio, PythonService, runPythonClient } from "../support/grpc/python.js";
import { GrpcService } from "../support/grpc/service.js";
import { callCases, type Pair } from "./calls.js";

const JS = "test.Echo";
const PYTHON = "test.PythonEcho";
const missing = missingGrpcio();

describe("python grpcio through the gateway", { skip: missing || false }, () => {
  let services: [js: GrpcService, python: PythonService];
  let gateway: Gateway;
  let pair: Pair;

  before(async () => {
    services = await Promise.all([GrpcService.listen(JS), PythonService.start(PYTHON)]);
    gateway = await startGateway({
      definitions: [
        keyless({ id: "js", target: services[0].target, path: `/${JS}` }),
        keyless({ id: "python", target: services[1].target, path: `/${PYTHON}` }),
      ],
    });
    pair = { through: new GrpcClient(gateway.port, PYTHON), direct: new GrpcClient(services[1].port, PYTHON) };
  });

  after(async () => {
    pair?.through.close();
    pair?.direct.close();
    await gateway?.stop();
    services?.[0].close();
    await services?.[1].close();
  });

  for (const it of callCases) test(`a service in Python: ${it.says}`, () => it.run(pair));

  for (const [at, kind] of ["grpc-js", "Python"].entries()) {
    test(`a caller in Python of a service in ${kind}`, async (context) => {
      const service = services[at]!;
      const outcomes = await runPythonClient(gateway.port, at === 0 ? JS : PYTHON, service.port);
      assert.ok(outcomes.length >= 20, "every case has run");
      for (const { name, problem } of outcomes) await context.test(name, () => assert.equal(problem, ""));
    });
  }
});
