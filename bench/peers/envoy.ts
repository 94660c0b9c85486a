/** Envoy with one worker thread: HTTP/2 both sides, no access log, no timeouts. Used only where the operator has put it on the PATH. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Peer, Place } from "./peer.js";

const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
const http2 = {
  max_concurrent_streams: 1000,
  initial_stream_window_size: 1048576,
  initial_connection_window_size: 16777216,
};
const extension = "type.googleapis.com/envoy.extensions";

const listener = (place: Place) => ({
  address: address(place.port),
  filter_chains: [
    {
      filters: [
        {
          name: "http",
          typed_config: {
            "@type": `${extension}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
            stat_prefix: "bench",
            codec_type: "HTTP2",
            generate_request_id: false,
            stream_idle_timeout: "0s",
            http2_protocol_options: http2,
            route_config: {
              virtual_hosts: [
                {
                  name: "all",
                  domains: ["*"],
                  routes: [{ match: { prefix: "/" }, route: { cluster: "service", timeout: "0s" } }],
                },
              ],
            },
            http_filters: [
              {
                name: "router",
                typed_config: { "@type": `${extension}.filters.http.router.v3.Router`, dynamic_stats: false },
              },
            ],
          },
        },
      ],
    },
  ],
});

const cluster = (place: Place) => ({
  name: "service",
  type: "STATIC",
  connect_timeout: "5s",
  circuit_breakers: { thresholds: [{ max_connections: 15000, max_pending_requests: 100000, max_requests: 100000 }] },
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": `${extension}.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: { http2_protocol_options: http2 },
    },
  },
  load_assignment: {
    cluster_name: "service",
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(place.upstreamPort) } }] }],
  },
});

export const envoy: Peer = {
  name: "envoy",
  title: "Envoy",
  role: "proxy",
  program: "envoy",
  version: ["--version"],
  cannot: ({ frontTls, backTls }) => (frontTls !== null || backTls ? "no TLS configuration for it yet" : null),
  command: (place) => {
    const file = join(place.folder, "envoy.json");
    writeFileSync(
      file,
      JSON.stringify({ static_resources: { listeners: [listener(place)], clusters: [cluster(place)] } }),
    );
    return { file: "envoy", args: ["-c", file, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"] };
  },
};
