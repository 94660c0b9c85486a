/**
 * A stage: one upstream service and the proxies of the run, all started and waiting, for scenarios that need the same set-up.
 * Must not know load or figures. Built once per distinct set-up.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, freePort, onPath, startChild, untilListening, usableCores } from "./children.js";
import { type CpuMeter, cpuMeter } from "./cpu.js";
import { startRedisServer, writeKeys } from "./keys.js";
import { givePath, message } from "./load/message.js";
import type { Certificate, Peer, Place } from "./peers/peer.js";
import type { Scenario } from "./scenarios.js";

export interface Contender {
  readonly peer: Peer;
  readonly port: number;
  readonly controlPort: number;
  readonly child: Child;
  readonly meter: CpuMeter;
  readonly place: Place;
}

export interface Stage {
  readonly key: string;
  readonly service: Child;
  readonly serviceName: string;
  readonly servicePort: number;
  readonly contenders: readonly Contender[];
  /** Proxies that cannot take part, with the reason: named, not failed. */
  readonly absent: ReadonlyMap<string, string>;
  /** Proxies that should have started and did not: every scenario through them has failed. */
  readonly broken: ReadonlyMap<Peer, string>;
  readonly folder: string;
  stop(): Promise<void>;
}

export interface Cores {
  readonly proxy: string;
  readonly load: string;
}

/** The proxy alone on the first cores, everything else on the last: so that the proxy's work is only ever its own. */
export const placeOnCores = (workers = 1): Cores => {
  const cores = usableCores();
  // Where nothing would be left to the load, all share all.
  if (cores.length <= workers) return { proxy: "", load: "" };
  return { proxy: cores.slice(0, workers).join(","), load: cores.slice(workers).join(",") };
};

let scratch: string | null = null;

/** One folder for everything the run writes aside from its results; gone when the process ends, whoever asked for it. */
export const scratchFolder = (): string => {
  if (scratch === null) {
    scratch = mkdtempSync(join(tmpdir(), "sluice-bench-"));
    process.once("exit", removeScratch);
  }
  return scratch;
};

export const removeScratch = (): void => {
  if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
  scratch = null;
};

/** Memory is measured in processes that have done nothing else yet: what they freed before would be used again unseen. */
export const stageKey = (scenario: Scenario): string =>
  JSON.stringify([
    scenario.service,
    scenario.tls,
    scenario.workers,
    scenario.definitions,
    scenario.alone,
    scenario.against,
    scenario.idle,
    scenario.keys,
    scenario.store,
  ]);

const EC = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const RSA = ["rsa:2048"];
const certificates = new Map<readonly string[], Certificate>();

const makeCertificate = (kind: readonly string[] = EC): Certificate => {
  const made = certificates.get(kind) ?? newCertificate(kind);
  certificates.set(kind, made);
  return made;
};

/** Signatures of which cost several times as much. */
export const rsaCertificate = (): Certificate => makeCertificate(RSA);

const newCertificate = (kind: readonly string[]): Certificate => {
  const [key, crt] = [join(scratchFolder(), "bench.key"), join(scratchFolder(), "bench.crt")];
  const made = spawnSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      ...kind,
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=127.0.0.1",
      "-addext",
      "subjectAltName=IP:127.0.0.1",
      "-keyout",
      key,
      "-out",
      crt,
    ],
    { encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`openssl could not make a certificate: ${made.stderr}`);
  const read = (file: string): string => spawnSync("cat", [file], { encoding: "utf8" }).stdout;
  return { certificate: read(crt), key: read(key) };
};

/** The replies as files, so that a static server answers the same paths as our own service. */
const writeReplies = (root: string, sizes: ReadonlySet<number>): void => {
  for (const size of sizes) {
    const file = join(root, givePath(1, size));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, message(size));
  }
};

const serviceCommand = (name: string, port: number, root: string, workers: number, tls: Certificate | null) => {
  const files = tls === null ? [] : [join(root, "service.key"), join(root, "service.crt")];
  if (tls !== null) {
    writeFileSync(files[0]!, tls.key);
    writeFileSync(files[1]!, tls.certificate);
  }
  if (name === "nghttpd") {
    return {
      file: "nghttpd",
      args: [
        `-n${workers}`,
        "-m1000",
        "-w20",
        "-W24",
        "-d",
        root,
        "--trailer",
        "grpc-status: 0",
        ...(tls === null ? ["--no-tls"] : []),
        String(port),
        ...files,
      ],
    };
  }
  return {
    file: process.execPath,
    args: [fileURLToPath(new URL("./load/echo.js", import.meta.url)), String(port), ...files],
  };
};

/** A revision of Sluice that says itself that it lacks what the scenario needs is left out by name; anything else has failed. */
const NOT_YET = /is not supported by this version/;

export const buildStage = async (scenarios: readonly Scenario[], peers: readonly Peer[]): Promise<Stage> => {
  const first = scenarios[0]!;
  const cores = placeOnCores(first.workers);
  const folder = mkdtempSync(join(scratchFolder(), "stage-"));
  writeReplies(folder, new Set(scenarios.map((scenario) => scenario.replyBytes)));
  const serviceName = first.service === "nghttpd" && onPath("nghttpd") !== null ? "nghttpd" : "echo";
  const servicePort = await freePort();
  const backTls = first.tls === "both" ? makeCertificate() : null;
  const service = startChild(
    serviceName,
    serviceCommand(serviceName, servicePort, folder, first.workers, backTls),
    cores.load,
  );
  await untilListening(service, servicePort);
  const redis = first.store === "redis" && first.keys > 0 ? await startRedisServer(cores.load) : null;
  const contenders: Contender[] = [];
  const absent = new Map<string, string>();
  const broken = new Map<Peer, string>();
  for (const peer of peers) {
    const own = join(folder, peer.name);
    mkdirSync(own);
    const { workers, definitions, keys } = { ...first, ...peer.plain };
    const home =
      redis === null
        ? { type: "embedded", path: join(own, "store") }
        : { type: "redis", host: "127.0.0.1", port: redis.port };
    const place: Place = {
      port: await freePort(),
      controlPort: await freePort(),
      upstreamPort: servicePort,
      folder: own,
      workers,
      definitions,
      frontTls: first.tls === "none" ? null : makeCertificate(),
      backTls: backTls !== null,
      keys,
      storage: keys === 0 ? null : home,
    };
    const reason = peer.cannot(place);
    if (reason !== null) {
      absent.set(peer.name, reason);
      continue;
    }
    try {
      if (place.storage !== null) await writeKeys(place.storage, place.keys);
      const child = startChild(peer.name, peer.command(place), cores.proxy);
      await untilListening(child, place.port);
      const { port, controlPort } = place;
      contenders.push({ peer, place, port, controlPort, child, meter: cpuMeter(child.pid) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (NOT_YET.test(reason)) absent.set(peer.name, reason.slice(0, 200));
      else broken.set(peer, reason);
    }
  }
  return {
    key: stageKey(first),
    service,
    serviceName,
    servicePort,
    contenders,
    absent,
    broken,
    folder,
    stop: async () => {
      await Promise.all([...contenders.map((one) => one.child), service].map((child) => child.stop()));
      await redis?.child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
