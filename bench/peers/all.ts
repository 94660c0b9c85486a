/** The line-up: every proxy the bench knows, in the order of the table, and which of them are on this machine. */
import { spawnSync } from "node:child_process";
import { onPath } from "../children.js";
import { caddy } from "./caddy.js";
import { envoy } from "./envoy.js";
import { haproxy, haproxyTcp } from "./haproxy.js";
import { nghttpx } from "./nghttpx.js";
import { nginx } from "./nginx.js";
import { nodeHttp2 } from "./node-http2.js";
import type { Peer } from "./peer.js";

export const PEERS: readonly Peer[] = [nghttpx, haproxy, haproxyTcp, nginx, caddy, envoy, nodeHttp2];

export const peerNamed = (name: string): Peer => {
  const found = PEERS.find((peer) => peer.name === name);
  if (found === undefined) throw new Error(`no proxy is called ${name}`);
  return found;
};

export const isInstalled = (peer: Peer): boolean => peer.program === null || onPath(peer.program) !== null;

/** The first thing that looks like a version in what the program says about itself. */
export const versionOf = (peer: Peer): string => {
  if (peer.program === null) return process.version;
  const said = spawnSync(onPath(peer.program) ?? peer.program, [...peer.version], { encoding: "utf8" });
  return /\d+\.\d+(\.\d+)?/.exec(said.stdout + said.stderr)?.[0] ?? "unknown";
};
