/** Caddy: Go's ReverseProxy, the same engine that Tyk stands on. One OS thread of Go, no logs, no admin port. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Peer, Place } from "./peer.js";

const site = ({ port, upstreamPort, folder, frontTls, backTls }: Place): string => {
  const tls = frontTls === null ? "" : `  tls ${folder}/front.crt ${folder}/front.key\n`;
  const transport = backTls ? "    transport http {\n      tls_insecure_skip_verify\n      versions 2\n    }\n" : "";
  return `{
  admin off
  auto_https off
  default_sni 127.0.0.1
  servers {
    protocols h1 h2 h2c
  }
}
${frontTls === null ? "http" : "https"}://127.0.0.1:${port} {
${tls}  reverse_proxy ${backTls ? "https" : "h2c"}://127.0.0.1:${upstreamPort} {
    flush_interval -1
${transport}  }
}
`;
};

export const caddy: Peer = {
  name: "caddy",
  title: "Caddy",
  role: "proxy",
  program: "caddy",
  version: ["version"],
  cannot: () => null,
  command: (place) => {
    if (place.frontTls !== null) {
      writeFileSync(join(place.folder, "front.crt"), place.frontTls.certificate);
      writeFileSync(join(place.folder, "front.key"), place.frontTls.key);
    }
    const file = join(place.folder, "Caddyfile");
    writeFileSync(file, site(place));
    return {
      file: "caddy",
      args: ["run", "--config", file, "--adapter", "caddyfile"],
      env: { GOMAXPROCS: "1", HOME: place.folder, XDG_CONFIG_HOME: place.folder, XDG_DATA_HOME: place.folder },
    };
  },
};
