/**
 * The line about a certificate that is replaced: streams go on, and handshakes show the new one soon on every worker. The settings name
 * a file with the certificate; it is written anew and the gateway is told by signal. Must not know how a gateway is started.
 */
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { Client, credentials, status } from "@grpc/grpc-js";
import { exampleCertificate } from "../../examples/certificate.js";
import { freePort, pause } from "../children.js";
import { ECHO_PATH } from "../load/message.js";
import { scratchFolder } from "../stage.js";
import { type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { type Site, startService, startSite } from "./gate-site.js";

const WORKERS = 4;
const STREAMS = 50;
const CONNECTIONS = 4;
const REPLACEMENTS = 10;
const BAR_MS = 500;
/** Handshakes go on for so long after the bar, and so many of them at once. */
const AFTER_MS = 250;
const AT_ONCE = 4;
const NAME = "tls-replace";
const CLAIM = `a certificate replaced ${REPLACEMENTS} times under ${STREAMS} streams: none ends, every handshake begun ${BAR_MS} ms later shows the new one, ${WORKERS} workers`;

/** The certificate that a new connection is shown, by its fingerprint. */
const shown = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false }, () => {
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      resolve(fingerprint256);
    });
    socket.once("error", reject);
  });

interface Held {
  finish(): void;
  readonly code: Promise<number>;
}

/** A call whose request has begun and does not end before it is told to. */
const hold = (client: Client): Held => {
  const same = (bytes: Buffer): Buffer => bytes;
  let ended = (_code: number): void => {};
  const code = new Promise<number>((resolve) => {
    ended = resolve;
  });
  const call = client.makeClientStreamRequest(ECHO_PATH, same, same, () => {});
  call.on("status", (outcome) => ended(outcome.code));
  call.write(Buffer.alloc(10));
  return { finish: () => call.end(), code };
};

/** @returns ms after the signal at which the last handshake that was shown the old certificate began */
const replace = async (site: Site, file: string, pem: string): Promise<number> => {
  const wanted = new X509Certificate(pem).fingerprint256;
  const draft = `${file}.new`;
  writeFileSync(draft, pem);
  renameSync(draft, file);
  const told = performance.now();
  process.kill(site.child.pid, "SIGHUP");
  let last = 0;
  const visit = async (): Promise<void> => {
    for (;;) {
      const began = performance.now() - told;
      if (began > BAR_MS + AFTER_MS) return;
      if ((await shown(site.port)) !== wanted) last = Math.max(last, began);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, visit));
  return last;
};

const judge = async (
  site: Site,
  file: string,
  pems: readonly string[],
): Promise<Pick<Verdict, "measured" | "holds">> => {
  const trusted = credentials.createSsl(Buffer.from(pems[0]!));
  const options = { "grpc.use_local_subchannel_pool": 1, "grpc.enable_retries": 0 };
  const clients = Array.from({ length: CONNECTIONS }, () => new Client(`localhost:${site.port}`, trusted, options));
  const held = Array.from({ length: STREAMS }, (_, n) => hold(clients[n % CONNECTIONS]!));
  await pause(BAR_MS);
  const lasts: number[] = [];
  for (let n = 1; n <= REPLACEMENTS; n++) lasts.push(await replace(site, file, pems[n % pems.length]!));
  for (const call of held) call.finish();
  const codes = await Promise.all(held.map(({ code }) => code));
  for (const client of clients) client.close();
  const broken = codes.filter((code) => code !== status.OK).length;
  const worst = Math.max(...lasts);
  const sorted = lasts.toSorted((a, b) => a - b);
  return {
    measured: `the last old one began ${worst.toFixed(0)} ms after the signal at worst (median ${sorted[REPLACEMENTS >> 1]!.toFixed(0)} ms); ${broken} of ${STREAMS} streams ended`,
    holds: worst <= BAR_MS && broken === 0,
  };
};

export const replaceClaims: ClaimGroup = {
  names: [NAME],
  run: async (_wanted, plan) => {
    plan.progress(NAME);
    const folder = mkdtempSync(join(scratchFolder(), "replace-"));
    const service = await startService();
    try {
      const made = await Promise.all(["one.pem", "two.pem"].map((name) => exampleCertificate(join(folder, name))));
      const pems = made.map((each) => readFileSync(each.file, "utf8"));
      const file = join(folder, "front.pem");
      writeFileSync(file, pems[0]!);
      const port = await freePort();
      const tls = { protocol: "https", listen_port: port, certificates: [file] };
      const site = await startSite(NAME, service.port, null, WORKERS, tls);
      const found = await judge({ ...site, port }, file, pems);
      await site.child.stop();
      return [{ name: NAME, claim: CLAIM, ...found }];
    } catch (error) {
      return [failedVerdict(NAME, CLAIM, error instanceof Error ? error.message : String(error))];
    } finally {
      await service.child.stop();
    }
  },
};
