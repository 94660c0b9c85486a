/** nghttpx, the C++ proxy of nghttp2: one worker thread, no logs, timers out of the way. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificate, Peer } from "./peer.js";

const HOUR = "3600s";

const certificateFiles = (folder: string, tls: Certificate): string[] => {
  const [key, certificate] = [join(folder, "front.key"), join(folder, "front.crt")];
  writeFileSync(key, tls.key);
  writeFileSync(certificate, tls.certificate);
  return [key, certificate];
};

export const nghttpx: Peer = {
  name: "nghttpx",
  title: "nghttpx",
  role: "proxy",
  program: "nghttpx",
  version: ["--version"],
  cannot: () => null,
  command: ({ port, upstreamPort, folder, frontTls, backTls }) => ({
    file: "nghttpx",
    args: [
      "--conf=/dev/null",
      "--workers=1",
      "--single-process",
      "--log-level=FATAL",
      `--frontend=127.0.0.1,${port}${frontTls === null ? ";no-tls" : ""}`,
      `--backend=127.0.0.1,${upstreamPort};;proto=h2${backTls ? ";tls" : ""}`,
      "--insecure",
      "--no-ocsp",
      "--frontend-http2-max-concurrent-streams=1000",
      "--backend-http2-max-concurrent-streams=1000",
      "--frontend-http2-window-size=1048576",
      "--frontend-http2-connection-window-size=16777216",
      "--backend-http2-window-size=1048576",
      "--backend-http2-connection-window-size=16777216",
      `--frontend-http2-read-timeout=${HOUR}`,
      `--frontend-write-timeout=${HOUR}`,
      `--frontend-keep-alive-timeout=${HOUR}`,
      `--backend-read-timeout=${HOUR}`,
      `--backend-write-timeout=${HOUR}`,
      `--backend-keep-alive-timeout=${HOUR}`,
      `--stream-read-timeout=${HOUR}`,
      `--stream-write-timeout=${HOUR}`,
      ...(frontTls === null ? [] : certificateFiles(folder, frontTls)),
    ],
  }),
};
