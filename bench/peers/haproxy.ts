/** HAProxy, one thread, no logs: as an HTTP proxy, and as a plain TCP forwarder, which is the floor. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Peer, Place } from "./peer.js";

const configuration = (place: Place, mode: "http" | "tcp"): string => {
  const http = mode === "http";
  const pem = join(place.folder, "front.pem");
  if (place.frontTls !== null) writeFileSync(pem, place.frontTls.certificate + place.frontTls.key);
  const front = `${http ? " proto h2" : ""}${place.frontTls === null ? "" : ` ssl crt ${pem} alpn h2`}`;
  const back = `${http ? " proto h2" : ""}${place.backTls ? " ssl verify none alpn h2" : ""}`;
  return `global
  nbthread 1
  maxconn 15000
  no strict-limits
  tune.h2.max-concurrent-streams 1000
  tune.h2.initial-window-size 1048576
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
${http ? "  timeout http-keep-alive 1h\n  timeout http-request 1h\n  http-reuse always\n" : ""}frontend front
  bind 127.0.0.1:${place.port}${place.frontTls === null ? front : front.replace(" proto h2", "")}
  default_backend back
backend back
  server one 127.0.0.1:${place.upstreamPort}${back}
`;
};

const command = (place: Place, mode: "http" | "tcp") => {
  const file = join(place.folder, "haproxy.cfg");
  writeFileSync(file, configuration(place, mode));
  return { file: "haproxy", args: ["-db", "-f", file] };
};

export const haproxy: Peer = {
  name: "haproxy",
  title: "HAProxy",
  role: "proxy",
  program: "haproxy",
  version: ["-v"],
  cannot: () => null,
  command: (place) => command(place, "http"),
};

export const haproxyTcp: Peer = {
  name: "haproxy-tcp",
  title: "HAProxy as TCP forwarder",
  role: "floor",
  program: "haproxy",
  version: ["-v"],
  cannot: () => null,
  command: (place) => command(place, "tcp"),
};
