// Responsible for: the deployment files say what the gateway does: its ports, paths, settings, signals and times.
// Must not know: how any of them is run; no container engine is needed. Governed by: deploy/.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse, parseAllDocuments } from "yaml";
import { load } from "../../src/primary/loader.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const DEPLOY = join(ROOT, "deploy");
const MAIN = fileURLToPath(new URL("../../src/primary/main.js", import.meta.url));

type Json = { [name: string]: Json } & Json[] & string & number;

const text = (...path: string[]): string => readFileSync(join(DEPLOY, ...path), "utf8");

/** A settings file with an `app_path` of this machine, judged as the gateway judges it. */
function problemsOf(settings: Json, apps: string, variables: Record<string, string> = {}): readonly unknown[] {
  const folder = mkdtempSync(join(tmpdir(), "sluice-deploy-"));
  try {
    const file = join(folder, "sluice.json");
    const { policies: _policies, ...rest } = settings as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...rest, app_path: apps }));
    const { read, configuration } = load(file, variables);
    assert.ok(read !== undefined, JSON.stringify(configuration.problems));
    return configuration.problems;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const drainSeconds = (settings: Json): number =>
  Number(settings["graceful_shutdown_delay_seconds"]) + Number(settings["graceful_shutdown_timeout_duration"]);

describe("the image", () => {
  const lines = text("Dockerfile").split("\n");
  const settings = JSON.parse(text("sluice.json")) as Json;

  test("copies only what is there, and what the context lets in", () => {
    const allowed = readFileSync(join(ROOT, ".dockerignore"), "utf8").split("\n");
    for (const line of lines.filter((each) => each.startsWith("COPY ") && !each.includes("--from"))) {
      for (const source of line.split(" ").slice(1, -1)) {
        assert.ok(existsSync(join(ROOT, source)), `${source} is copied and does not exist`);
        const name = source.replace(/^\.\//, "");
        assert.ok(allowed.includes(`!${name}`), `${name} is copied and the context does not let it in`);
      }
    }
  });

  test("runs the entry point of the package, not as root, with settings that have no problem", () => {
    const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { bin: { sluice: string } };
    assert.ok(lines.includes(`ENTRYPOINT ["node", "${bin.sluice}"]`));
    assert.ok(lines.indexOf("USER node") > lines.lastIndexOf(lines.find((line) => line.startsWith("FROM"))!));
    assert.deepEqual(problemsOf(settings, join(DEPLOY, "apps"), { TYK_GW_SECRET: "of our own" }), []);
  });

  test("exposes and asks the ports of its settings", () => {
    const [calls, control] = [settings["listen_port"], settings["control_api_port"]];
    assert.ok(lines.includes(`EXPOSE ${calls} ${control}`));
    assert.ok(text("Dockerfile").includes(`http://127.0.0.1:${control}/hello`));
  });
});

describe("the compose file", () => {
  const compose = parse(text("compose.yaml"), { merge: true }) as Json;
  const settings = JSON.parse(text("sluice.json")) as Json;
  const gateways = ["gateway-1", "gateway-2"].map((name) => compose["services"]![name]!);

  test("gives its gateways longer to end than they take", () => {
    for (const gateway of gateways) {
      assert.ok(Number.parseInt(gateway["stop_grace_period"]!, 10) > drainSeconds(settings));
    }
  });

  test("sets variables that the gateway knows, and publishes the control port on the loopback address only", () => {
    for (const gateway of gateways) {
      const variables = { ...(gateway["environment"] as Record<string, string>), TYK_GW_SECRET: "of our own" };
      assert.deepEqual(problemsOf(settings, join(DEPLOY, "apps"), variables), []);
      const [calls, control] = gateway["ports"] as string[];
      assert.match(calls!, /^\d+:8080$/);
      assert.match(control!, /^127\.0\.0\.1:\d+:8081$/);
    }
  });

  test("has a Redis that keeps what it was told", () => {
    const command = compose["services"]!["redis"]!["command"] as string[];
    assert.equal(command[command.indexOf("--appendonly") + 1], "yes");
    assert.equal(command[command.indexOf("--appendfsync") + 1], "always");
  });
});

describe("the Kubernetes manifests", () => {
  const documents = parseAllDocuments(text("kubernetes", "sluice.yaml")).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Json;
  });
  const named = (kind: string, name: string): Json => {
    const found = documents.find((each) => each["kind"] === kind && each["metadata"]!["name"] === name);
    assert.ok(found !== undefined, `${kind} ${name}`);
    return found;
  };
  const settings = JSON.parse(named("ConfigMap", "sluice")["data"]!["sluice.json"]!) as Json;
  const pod = named("Deployment", "sluice")["spec"]!["template"]!["spec"]!;
  const container = pod["containers"]![0]!;

  test("have settings and a definition without a problem", () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-deploy-apps-"));
    try {
      for (const [name, definition] of Object.entries(named("ConfigMap", "sluice-apps")["data"]!))
        writeFileSync(join(folder, name), definition as unknown as string);
      assert.deepEqual(problemsOf(settings, folder, { TYK_GW_SECRET: "of our own" }), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("leave the gateway longer to end than it takes", () => {
    assert.ok(Number(pod["terminationGracePeriodSeconds"]) > drainSeconds(settings));
    assert.equal(container["lifecycle"], undefined);
  });

  test("ask the paths that exist, on the control port", () => {
    const ports = new Map(
      (container["ports"] as unknown as Json[]).map((each) => [each["name"], each["containerPort"]]),
    );
    assert.equal(ports.get("grpc" as Json), settings["listen_port"]);
    assert.equal(ports.get("control" as Json), settings["control_api_port"]);
    for (const [probe, path] of [
      ["startupProbe", "/ready"],
      ["readinessProbe", "/ready"],
      ["livenessProbe", "/hello"],
    ] as const)
      assert.deepEqual(container[probe]!["httpGet"], { path, port: "control" });
  });

  test("say HTTP/2 to whatever stands before the Service, and select the pods they mean", () => {
    for (const name of ["sluice", "sluice-pods"]) {
      const service = named("Service", name)["spec"]!;
      assert.equal(service["ports"]![0]!["appProtocol"], "kubernetes.io/h2c");
      assert.deepEqual(service["selector"], { app: "sluice" });
    }
  });

  test("mount what the settings name", () => {
    const mounted = (container["volumeMounts"] as unknown as Json[]).map((each) => each["mountPath"]);
    assert.ok(mounted.includes(settings["app_path"]!));
    const volumes = (pod["volumes"] as unknown as Json[]).map((each) => each["name"]);
    for (const mount of container["volumeMounts"] as unknown as Json[]) assert.ok(volumes.includes(mount["name"]!));
  });
});

/** Rendered by kubectl itself, which needs no cluster for that. */
describe("the Kubernetes manifests for TLS", () => {
  const kubectl = spawnSync("kubectl", ["kustomize", join(DEPLOY, "kubernetes-tls")], { encoding: "utf8" });
  // Not to be had from every distribution: where it is missing this is skipped, visibly, in CI too.
  const skip = kubectl.error !== undefined ? "kubectl is not installed" : false;
  const documents = (): Json[] => {
    assert.equal(kubectl.status, 0, kubectl.stderr);
    return parseAllDocuments(kubectl.stdout).map((document) => document.toJS() as Json);
  };
  const named = (kind: string, name: string): Json => {
    const found = documents().find((each) => each["kind"] === kind && each["metadata"]!["name"] === name);
    assert.ok(found !== undefined, `${kind} ${name}`);
    return found;
  };

  test("say TLS wherever the others say cleartext: ports, probes, settings", { skip }, () => {
    const settings = JSON.parse(named("ConfigMap", "sluice")["data"]!["sluice.json"]!) as Json;
    assert.equal(settings["http_server_options"]!["use_ssl"] as unknown, true);
    for (const name of ["sluice", "sluice-pods", "sluice-control"])
      assert.equal(named("Service", name)["spec"]!["ports"]![0]!["appProtocol"], "https");
    const container = named("Deployment", "sluice")["spec"]!["template"]!["spec"]!["containers"]![0]!;
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"])
      assert.equal(container[probe]!["httpGet"]!["scheme"], "HTTPS");
    const mounted = (container["volumeMounts"] as unknown as Json[]).map((each) => each["mountPath"]);
    for (const pair of settings["http_server_options"]!["certificates"] as unknown as Json[])
      for (const file of ["cert_file", "key_file"]) assert.ok(mounted.includes(dirname(pair[file]!) as Json & string));
  });

  test("differ from the others in TLS alone", { skip }, () => {
    const plain = parseAllDocuments(text("kubernetes", "sluice.yaml"))[0]!.toJS() as Json;
    const settings = JSON.parse(plain["data"]!["sluice.json"]!) as Json;
    const secured = JSON.parse(named("ConfigMap", "sluice")["data"]!["sluice.json"]!) as Json;
    const { http_server_options: _one, ...rest } = settings as Record<string, unknown>;
    const { http_server_options: _other, ...same } = secured as Record<string, unknown>;
    assert.deepEqual(same, rest);
  });
});

describe("the systemd unit", () => {
  const unit = text("sluice.service");

  test("starts, reloads and ends the gateway with commands and signals that it knows", () => {
    const command = /^ExecStart=\/usr\/bin\/node (.*)$/m.exec(unit)?.[1] ?? "";
    assert.equal(command, "dist/primary/main.js start --conf /etc/sluice/sluice.json");
    assert.match(unit, /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
    assert.match(unit, /^KillSignal=SIGTERM$/m);
    const known = readFileSync(join(ROOT, "src", "primary", "serve.ts"), "utf8");
    for (const signal of ["SIGHUP", "SIGTERM", "SIGUSR2"]) assert.ok(known.includes(`process.on("${signal}"`), signal);
    const usage = spawnSync(process.execPath, [MAIN, "help"], { encoding: "utf8" }).stdout;
    assert.match(usage, /sluice start/);
    assert.match(usage, /sluice lint/);
  });

  test("waits longer for the end than the gateway takes with the settings beside it, and lets it write where they say", () => {
    const settings = JSON.parse(text("sluice.json")) as Json;
    assert.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) > drainSeconds(settings));
    const writable = /^ReadWritePaths=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? [];
    for (const folder of [settings["app_path"]!, settings["policies"]!["policy_path"]!])
      assert.ok(writable.includes(`-${folder}`), folder);
    assert.equal(settings["storage"]!["path"], `/var/lib/${/^StateDirectory=(.*)$/m.exec(unit)?.[1]}`);
  });

  const verify = spawnSync("systemd-analyze", ["--version"]).status === 0;
  test("is well formed by systemd's own judgement", {
    skip: verify || process.env["CI"] === "true" ? false : "systemd-analyze is not installed",
  }, () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-unit-"));
    try {
      const file = join(folder, "sluice.service");
      writeFileSync(file, unit.replaceAll("/usr/bin/node", process.execPath).replace("/bin/kill", "/bin/true"));
      const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
      const ours = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("sluice.service"));
      assert.deepEqual(ours, []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
