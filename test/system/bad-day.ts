// Responsible for: what happens to a gateway on a bad day, under steady load: reloads, rolling restarts, services that are
// restarted, killed, frozen. Must not know: how many of each; the lean run and the soak say. How often: tests only.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcService } from "../support/grpc/service.js";
import { ServiceProcess } from "../support/grpc/service-process.js";
import { type Failure, SteadyLoad } from "../support/grpc/steady-load.js";
import { until } from "../support/waiting.js";

const NAME = "test.Echo";
/** Found silent within two to three seconds. */
const SETTINGS = {
  graceful_shutdown_timeout_duration: 10,
  upstream: { keepalive_time: 1, keepalive_timeout: 1, backoff_initial: 0.05, backoff_max: 0.5, connect_timeout: 1 },
};

const WORKERS = 2;

export interface Day {
  readonly inFlight: number;
  readonly clients: number;
  readonly reloads: number;
  readonly restarts: number;
  /** Calls that pass between two events. */
  readonly between: number;
}

interface Scene {
  readonly gateway: Gateway;
  readonly load: SteadyLoad;
  readonly services: readonly (GrpcService | ServiceProcess)[];
}

async function sceneFor(context: TestContext, day: Day, services: Scene["services"]): Promise<Scene> {
  const targets = services.map((service) => service.target);
  const balancing = targets.length > 1 ? { enable_load_balancing: true, target_list: targets } : {};
  const gateway = await startGateway({
    definitions: [keyless({ target: targets[0]!, path: `/${NAME}`, proxy: balancing })],
    settings: SETTINGS,
    workers: WORKERS,
  });
  context.after(() => gateway.stop());
  const { inFlight, clients } = day;
  const load = new SteadyLoad({ port: gateway.port, service: NAME, inFlight, clients, callsPerConnection: 400 });
  context.after(() => load.stop());
  await load.pass(day.between);
  return { gateway, load, services };
}

const logged = (gateway: Gateway, text: string): number => gateway.logs.split(text).length - 1;

/** How many processes have logged a line with this text. */
const tellers = (gateway: Gateway, text: string): number =>
  new Set(
    gateway.logs.split("\n").flatMap((line) => (line.includes(text) ? (/"pid":(\d+)/.exec(line)?.[1] ?? []) : [])),
  ).size;

const sayWhat = (failures: readonly Failure[]): string => JSON.stringify(failures.slice(0, 5));

const noneFailed = async ({ load }: Scene): Promise<void> => {
  await load.stop();
  assert.equal(
    load.failures.length,
    0,
    `${load.failures.length} of ${load.done} calls failed: ${sayWhat(load.failures)}`,
  );
};

/** Only calls that were with the target fail, with UNAVAILABLE; then all is well. Each worker finds out by itself. */
const fewFailed = async ({ load }: Scene, day: Day): Promise<void> => {
  const before = load.failures.length;
  await load.pass(2 * day.between);
  await load.stop();
  const { failures } = load;
  assert.ok(
    failures.length <= WORKERS * day.inFlight,
    `${failures.length} calls failed, more than could have been there`,
  );
  assert.deepEqual(
    failures.filter((it) => it.code !== status.UNAVAILABLE),
    [],
  );
  assert.equal(failures.length, before, "calls failed after the target was found to be gone");
};

const localServices = async (context: TestContext, count: number): Promise<GrpcService[]> => {
  const services = await Promise.all(Array.from({ length: count }, () => GrpcService.listen(NAME)));
  context.after(() => {
    for (const service of services) service.close();
  });
  return services;
};

const serviceProcesses = async (context: TestContext, count: number): Promise<ServiceProcess[]> => {
  const services = await Promise.all(Array.from({ length: count }, () => ServiceProcess.start(NAME)));
  context.after(() => Promise.all(services.map((service) => service.close())));
  return services;
};

export async function reloads(context: TestContext, day: Day): Promise<void> {
  const scene = await sceneFor(context, day, await localServices(context, 1));
  for (let n = 1; n <= day.reloads; n++) {
    scene.gateway.signal("SIGHUP");
    await until("it is reloaded", () => logged(scene.gateway, "reloaded") >= n);
    await scene.load.pass(day.between);
  }
  await noneFailed(scene);
}

export async function rollingRestarts(context: TestContext, day: Day): Promise<void> {
  const scene = await sceneFor(context, day, await localServices(context, 1));
  for (let n = 1; n <= day.restarts; n++) {
    const old = await scene.gateway.workers();
    scene.gateway.signal("SIGUSR2");
    await until("every worker is new", () => logged(scene.gateway, "every worker is new") >= n);
    await until("the old workers are gone", async () => {
      const now = await scene.gateway.workers();
      return !now.some((pid) => old.includes(pid));
    });
    await scene.load.pass(day.between);
  }
  await noneFailed(scene);
}

/** One target after the other says GOAWAY, finishes, ends, and is back. */
export async function servicesRestarted(context: TestContext, day: Day): Promise<void> {
  const services = await localServices(context, 3);
  const scene = await sceneFor(context, day, services);
  for (const service of services) {
    await service.drain();
    const next = await GrpcService.listen(NAME, service.port);
    context.after(() => next.close());
    await scene.load.pass(2 * day.between);
  }
  await noneFailed(scene);
}

export async function serviceKilled(context: TestContext, day: Day): Promise<void> {
  const services = await serviceProcesses(context, 3);
  const scene = await sceneFor(context, day, services);
  services[1]!.signal("SIGKILL");
  await scene.load.pass(2 * day.between);
  await fewFailed(scene, day);
}

export async function serviceFrozen(context: TestContext, day: Day): Promise<void> {
  const services = await serviceProcesses(context, 3);
  const scene = await sceneFor(context, day, services);
  services[1]!.signal("SIGSTOP");
  // Those that went there are told in the end; the others never stop.
  await until(
    "each worker has found it silent",
    () => tellers(scene.gateway, "connection to the service lost") >= WORKERS,
  );
  await scene.load.pass(2 * day.between);
  await fewFailed(scene, day);
}
