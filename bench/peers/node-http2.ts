/** How the `node:http2` twin (twin.ts) is started. Always there: it needs nothing but Node. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Peer } from "./peer.js";

export const nodeHttp2: Peer = {
  name: "node-http2",
  title: "node:http2, piped",
  role: "proxy",
  program: null,
  version: [],
  cannot: () => null,
  command: ({ port, upstreamPort, folder, frontTls, backTls }) => {
    const tls = frontTls === null ? [] : [join(folder, "front.crt"), join(folder, "front.key")];
    if (frontTls !== null) {
      writeFileSync(tls[0]!, frontTls.certificate);
      writeFileSync(tls[1]!, frontTls.key);
    }
    const script = fileURLToPath(new URL("./twin.js", import.meta.url));
    return {
      file: process.execPath,
      args: [script, String(port), `${backTls ? "https" : "http"}://127.0.0.1:${upstreamPort}`, ...tls],
    };
  },
};
