/** nginx with grpc_pass: one process, no logs, connections to the upstream kept. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Peer, Place } from "./peer.js";

const FOREVER = "1000000000";

const configuration = ({ port, upstreamPort, folder, frontTls, backTls }: Place): string => {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path ${folder}/${kind};`)
    .join("\n");
  const tls =
    frontTls === null
      ? ""
      : `    ssl_certificate ${folder}/front.crt;\n    ssl_certificate_key ${folder}/front.key;\n    ssl_session_cache shared:front:4m;\n`;
  return `daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 15000; }
http {
${paths}
  access_log off;
  keepalive_timeout 1h;
  keepalive_time 24h;
  keepalive_requests ${FOREVER};
  http2_max_concurrent_streams 1000;
  client_max_body_size 0;
  client_body_timeout 1h;
  send_timeout 1h;
  grpc_read_timeout 1h;
  grpc_send_timeout 1h;
  grpc_buffer_size 64k;
  upstream service {
    server 127.0.0.1:${upstreamPort};
    keepalive 1024;
    keepalive_requests ${FOREVER};
    keepalive_time 24h;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port}${frontTls === null ? "" : " ssl"} http2;
${tls}    location / { grpc_pass ${backTls ? "grpcs" : "grpc"}://service; }
  }
}
`;
};

export const nginx: Peer = {
  name: "nginx",
  title: "nginx",
  role: "proxy",
  program: "nginx",
  version: ["-v"],
  cannot: () => null,
  command: (place) => {
    if (place.frontTls !== null) {
      writeFileSync(join(place.folder, "front.crt"), place.frontTls.certificate);
      writeFileSync(join(place.folder, "front.key"), place.frontTls.key);
    }
    const file = join(place.folder, "nginx.conf");
    writeFileSync(file, configuration(place));
    return { file: "nginx", args: ["-p", place.folder, "-e", "stderr", "-c", file] };
  },
};
