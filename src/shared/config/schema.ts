// The settings that have a meaning here: Tyk's names, and ours beside them.
// Responsible for types and bounds. Must not know: files, the environment, fields of Tyk without a meaning here
// (support.ts). Governed by tyk.conf (README, settings). Runs: at start and at a reload.

import { z } from "zod";
import type { EngineLimits } from "../http2/limits.js";
import { nameProblem } from "../model/header-changes.js";
import { DEFAULTS, ENGINE_DEFAULTS } from "./defaults.js";
import {
  flag,
  highestTls,
  lowestTls,
  oneOf,
  seconds,
  secondsOrDefault,
  segment,
  share,
  text,
  textMap,
  texts,
  whole,
} from "./fields.js";
import { gateSettings } from "./gate-settings.js";
import { LOG_FIELDS } from "./log-fields.js";
import { opentelemetry } from "./traces.js";

const DAY = 86_400;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const WINDOW_MAX = 0x7fffffff;

const portNumber = z
  .number({ error: "must be a port from 1 to 65535" })
  .int({ error: "must be a port from 1 to 65535" })
  .min(1, { error: "must be a port from 1 to 65535" })
  .max(65_535, { error: "must be a port from 1 to 65535" });

const portList = z.object(
  {
    ranges: z
      .array(
        z
          .object({ from: portNumber, to: portNumber }, { error: 'must be {"from": port, "to": port}' })
          .refine((range) => range.from <= range.to, { error: "must not end before it begins" }),
        { error: "must be a list of ranges" },
      )
      .default([]),
    ports: z.array(portNumber, { error: "must be a list of ports" }).default([]),
  },
  { error: 'must be {"ranges": [{"from", "to"}], "ports": [port]}' },
);

export const PROTOCOL_NAMES = ["http", "https", "h2c", "tcp", "tls"] as const;

const portsWhitelist = z
  .record(z.string(), portList, { error: `must be an object of ${PROTOCOL_NAMES.join(", ")}` })
  .superRefine((value, context) => {
    for (const name of Object.keys(value)) {
      if ((PROTOCOL_NAMES as readonly string[]).includes(name)) continue;
      context.addIssue({ code: "custom", path: [name], message: `must be one of ${PROTOCOL_NAMES.join(", ")}` });
    }
  })
  .default({});

const section = { error: "must be an object" };

const httpServerOptions = z
  .object(
    {
      /** Always on: there is nothing but HTTP/2 here. Accepted so that Tyk's files say the same. */
      enable_http2: flag(true),
      /** Without effect: every frame leaves in the turn it came, which is Tyk's smallest interval. */
      flush_interval: whole(0, 3_600_000, 0),
      read_timeout: secondsOrDefault(DAY, DEFAULTS.readTimeout),
      write_timeout: secondsOrDefault(DAY, DEFAULTS.writeTimeout),
      enable_strict_routes: flag(),
      skip_url_cleaning: flag(),
      /** Anchors patterns of paths at the beginning, at the end. */
      enable_path_prefix_matching: flag(),
      enable_path_suffix_matching: flag(),
      /** Which entry of X-Forwarded-For, from the right, is the caller; only from trusted_proxies. */
      xff_depth: whole(0, 1_000, 0),
      /** The main port, and definitions without a protocol, are TLS. */
      use_ssl: flag(),
      /** References: store id, path of a PEM with certificate and key, or that PEM itself. */
      ssl_certificates: texts(),
      certificates: z
        .array(
          z.object(
            { domain_name: text(), cert_file: text(), key_file: text() },
            { error: 'must be {"domain_name", "cert_file", "key_file"}' },
          ),
          { error: 'must be a list of {"domain_name", "cert_file", "key_file"}' },
        )
        .default([]),
      min_version: lowestTls(),
      max_version: highestTls(),
      ssl_ciphers: texts(),
      skip_client_ca_announcement: flag(),
      /** Ours: full handshakes begun in one turn of a worker's loop; 0 = as many as come. */
      handshakes_per_turn: whole(0, 1_000, DEFAULTS.handshakesPerTurn),
      /** Ours: threads of each worker that end TLS in place of its loop; 0 = the loop does. Read when a worker starts. */
      tls_threads: whole(0, 64, 0),
      /** Ours: handshakes under way in one worker; one more is closed. */
      max_handshakes: whole(1, 100_000, DEFAULTS.maxHandshakes),
      /** Ours: a caller that has not finished its handshake after so long is cut. */
      handshake_timeout: seconds(0.1, 3_600, DEFAULTS.handshakeTimeout),
      /** Ours: session tickets are sealed under a new key after so long; the key before it is still accepted. */
      ticket_lifetime: seconds(60, 7 * DAY, DEFAULTS.ticketLifetime),
    },
    section,
  )
  .prefault({});

const security = z
  .object(
    {
      /** Opens and seals private keys; empty = secret. */
      private_certificate_encoding_secret: text(),
      certificates: z.object({ apis: texts(), upstream: textMap(), control_api: texts() }, section).prefault({}),
      /** Operators need one of certificates.control_api, or one that a CA among them vouches for; and the secret. */
      control_api_use_mutual_tls: flag(),
      certificate_expiry_monitor: z
        .object(
          {
            warning_threshold_days: whole(0, 3_650, DEFAULTS.expiryWarningDays),
            /** How often is looked. */
            check_cooldown_seconds: whole(1, DAY, DEFAULTS.expiryCheck),
            /** How often one certificate is told of. */
            event_cooldown_seconds: whole(0, 30 * DAY, DEFAULTS.expiryReminder),
          },
          section,
        )
        .prefault({}),
      pinned_public_keys: textMap(),
      allow_unsafe_policy_ids: flag(),
      /** A token is enough on an API whose keys are certificates, where the caller shows none. */
      allow_unsafe_dynamic_mtls_token: flag(),
    },
    section,
  )
  .prefault({});

// Sides differ only in their defaults; 0 as a table size means that nothing is remembered.
function engineSide(of: EngineLimits) {
  return z
    .object(
      {
        max_concurrent_streams: whole(1, 1_000_000, of.maxConcurrentStreams),
        max_frame_size: whole(16_384, 16_777_215, of.maxFrameSize),
        stream_window: whole(65_535, WINDOW_MAX, of.streamWindow),
        max_stream_window: whole(65_535, WINDOW_MAX, of.maxStreamWindow),
        connection_window: whole(65_535, WINDOW_MAX, of.connectionWindow),
        max_header_list_size: whole(4_096, 16 * MIB, of.maxHeaderListSize),
        max_fields: whole(16, 100_000, of.maxFields),
        header_table_size: whole(0, 65_536, of.headerTableSize),
        encoder_table_size: whole(0, 65_536, of.encoderTableSize),
        max_waiting_output: whole(16_384, GIB, of.maxWaitingOutput),
        max_continuations: whole(0, 1_024, of.maxContinuations),
        control_budget: whole(10, 1_000_000, of.controlBudget),
        reset_budget: whole(10, 1_000_000, of.resetBudget),
        tiny_data_budget: whole(10, 1_000_000, of.tinyDataBudget),
      },
      section,
    )
    .superRefine((side, context) => {
      const atLeast = (path: string, value: number, other: string, bound: number) => {
        if (value < bound) context.addIssue({ code: "custom", path: [path], message: `must not be below ${other}` });
      };
      atLeast("max_stream_window", side.max_stream_window, "stream_window", side.stream_window);
      atLeast("connection_window", side.connection_window, "max_stream_window", side.max_stream_window);
    })
    .prefault({});
}

const engine = z
  .object(
    { downstream: engineSide(ENGINE_DEFAULTS.downstream), upstream: engineSide(ENGINE_DEFAULTS.upstream) },
    section,
  )
  .prefault({});

const up = DEFAULTS.upstream;

const upstream = z
  .object(
    {
      min_connections: whole(0, 1_000, up.minConnections),
      max_connections: whole(1, 1_000, up.maxConnections),
      /** 0 = proxy_default_timeout. */
      connect_timeout: seconds(0, 3_600, 0),
      keepalive_time: seconds(0, DAY, up.keepaliveTime),
      keepalive_timeout: seconds(0.1, 3_600, up.keepaliveTimeout),
      /** 0 = for ever. */
      max_age: seconds(0, 30 * DAY, up.maxAge),
      max_age_jitter: share(up.maxAgeJitter),
      idle_timeout: seconds(0, 30 * DAY, up.idleTimeout),
      replay_bytes_per_call: whole(0, 64 * MIB, up.replayBytesPerCall),
      replay_bytes_per_worker: whole(0, 4 * GIB, up.replayBytesPerWorker),
      backoff_initial: seconds(0.01, 60, up.backoffInitial),
      backoff_max: seconds(0.01, 3_600, up.backoffMax),
      backoff_jitter: share(up.backoffJitter),
      resolve_interval: seconds(1, DAY, up.resolveInterval),
      max_waiting_calls: whole(0, 1_000_000, up.maxWaitingCalls),
      /** A connection on which so many calls were cancelled within about 20 s is replaced; 0 = never. */
      cancel_budget: whole(0, 1_000_000, up.cancelBudget),
      /** References to CAs of services, trusted beside the system's. */
      ca_certificates: texts(),
    },
    section,
  )
  .superRefine((value, context) => {
    if (value.min_connections > value.max_connections)
      context.addIssue({ code: "custom", path: ["min_connections"], message: "must not be above max_connections" });
    if (value.backoff_initial > value.backoff_max)
      context.addIssue({ code: "custom", path: ["backoff_initial"], message: "must not be above backoff_max" });
  })
  .prefault({});

/** Ours: connections of callers. */
const connections = z
  .object(
    {
      /** Asked to come back after so long; 0 = never. */
      max_age: seconds(0, 30 * DAY, 0),
      max_age_jitter: share(DEFAULTS.connectionAgeJitter),
      /** Closed after so long without a call; 0 = never. */
      max_idle: seconds(0, 30 * DAY, 0),
      /** In one worker, and there from one address; one more is closed at once. 0 = as many as come. */
      max_per_worker: whole(0, 10_000_000, 0),
      max_per_address: whole(0, 10_000_000, 0),
      /** How often is looked whether a worker carries far more than its share; 0 = never. */
      rebalance_interval: seconds(0, DAY, DEFAULTS.rebalanceInterval),
    },
    section,
  )
  .prefault({});

/** Ours: what `/metrics` of the control port tells. */
const metrics = z
  .object(
    {
      enabled: flag(true),
      /** Methods of one API that are told apart; the others are counted as "other". */
      methods_per_api: whole(0, 10_000, DEFAULTS.methodsPerApi),
    },
    section,
  )
  .prefault({});

const requestId = z
  .object(
    {
      /** Where it stands; empty = no id is sent. */
      header: text()
        .transform((name) => name.toLowerCase())
        .refine((name) => name === "" || (nameProblem(name, false) === "" && !name.endsWith("-bin")), {
          error: "must be the name of a header field of one's own, such as x-request-id",
        }),
      /** From whom one is kept that came with the call: nobody, trusted_proxies, everybody. */
      trust: oneOf(["never", "proxies", "always"], "proxies"),
    },
    section,
  )
  .prefault({});

const accessLogs = z
  .object(
    {
      enabled: flag(),
      /** Which fields a line has; empty = all of them. */
      template: z
        .array(z.enum(LOG_FIELDS, { error: `must be one of ${LOG_FIELDS.join(", ")}` }), {
          error: "must be a list of fields",
        })
        .default([]),
      /** Ours: only calls that did not end with OK. */
      errors_only: flag(),
      /** Ours: which share of the calls gets a line. */
      share: share(1),
      /** Ours: lines that a worker writes in a second; what is more is only counted. */
      max_per_second: whole(1, 1_000_000, DEFAULTS.logLinesPerSecond),
      /** Ours: a file that lines are appended to; empty = standard output. */
      file: text(),
    },
    section,
  )
  .prefault({});

const address = z
  .string({ error: "must be an address or a host name" })
  .regex(/^[^\s/]*$/, { error: "must be an address or a host name without a scheme, a path or spaces" })
  .default("");

/** Without the refinements, so that its fields can be walked by name. */
export const settingsObject = z.object(
  {
    listen_address: address,
    listen_port: whole(1, 65_535, DEFAULTS.listenPort),
    hostname: text(),
    control_api_port: whole(0, 65_535, 0),
    /** Ours: where the control port is bound; empty = listen_address. */
    control_api_address: address,
    secret: text(),
    node_secret: text(),
    app_path: z
      .string({ error: "must be a folder's path" })
      .default("")
      .transform((value) => (value === "" ? DEFAULTS.appPath : value)),
    http_server_options: httpServerOptions,
    ports_whitelist: portsWhitelist,
    disable_ports_whitelist: flag(),
    security,
    proxy_enable_http2: flag(true),
    proxy_ssl_insecure_skip_verify: flag(),
    proxy_ssl_min_version: lowestTls(),
    proxy_ssl_max_version: highestTls(),
    proxy_ssl_ciphers: texts(),
    ssl_force_common_name_check: flag(),
    proxy_default_timeout: secondsOrDefault(3_600, DEFAULTS.connectTimeout),
    max_conn_time: seconds(0, 30 * DAY, 0),
    graceful_shutdown_timeout_duration: seconds(0, DAY, DEFAULTS.shutdownTimeout),
    graceful_shutdown_delay_seconds: seconds(0, 3_600, 0),
    health_check_endpoint_name: segment(DEFAULTS.healthName),
    readiness_check_endpoint_name: segment(DEFAULTS.readinessName),
    enable_custom_domains: flag(),
    hide_generator_header: flag(),
    log_level: oneOf(["", "debug", "info", "warn", "error"], "").transform((value) => (value === "" ? "info" : value)),
    /** Ours: worker processes; 0 = one per core that this process may use. */
    workers: whole(0, 1_024, 0),
    /** Ours: who accepts a connection and where it goes. */
    accept: oneOf(["least_connections", "round_robin", "shared"], "least_connections"),
    engine,
    upstream,
    connections,
    metrics,
    access_logs: accessLogs,
    opentelemetry,
    /** Ours: `/metrics` needs no secret, wherever the control port is bound; on a loopback address it never needs one. */
    metrics_public: flag(),
    /** Ours: ends a call that is silent on both sides for so long; 0 = never. */
    stream_idle_timeout: seconds(0, 30 * DAY, 0),
    /** Ours: an id for every forwarded call. */
    request_id: requestId,
    /** Ours: bytes a worker may hold for slow receivers, all connections together. */
    max_buffered_bytes: whole(8 * MIB, 64 * GIB, DEFAULTS.maxBufferedBytes),
    ...gateSettings,
  },
  section,
);

export type Settings = z.output<typeof settingsObject>;
