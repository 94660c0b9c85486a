// Settings of the gate: where keys and policies live, how they are hashed and found, how calls are counted.
// Responsible for types and bounds. Must not know: files, the rest of the settings (schema.ts), who uses a value.
// Governed by tyk.conf (storage, policies, hash_*, rate limits) and ours beside it. Runs: at start and at a reload.

import { z } from "zod";
import { flag, oneOf, seconds, text, texts, whole } from "./fields.js";

const DAY = 86_400;
const section = { error: "must be an object" };
const HASHES = ["", "murmur32", "murmur64", "murmur128", "sha256"] as const;
const TLS = ["", "1.0", "1.1", "1.2", "1.3"] as const;

const storage = z
  .object(
    {
      /** `embedded` needs nothing beside the gateway; `redis` as soon as there is a second replica. */
      type: oneOf(["embedded", "redis"], "embedded"),
      /** Ours: the folder of the embedded home. */
      path: text("data"),
      /** Ours: `json` is the form that Tyk reads, for a Redis that both use. Both are always read. */
      encoding: oneOf(["msgpack", "json"], "msgpack"),
      host: text("localhost"),
      port: whole(0, 65_535, 6_379),
      hosts: z
        .record(z.string(), z.string({ error: "must be a port" }), { error: "must be an object of host: port" })
        .default({}),
      addrs: texts(),
      /** Ours. */
      socket_path: text(),
      master_name: text(),
      sentinel_password: text(),
      enable_cluster: flag(),
      username: text(),
      password: text(),
      database: whole(0, 65_535, 0),
      /** Of dialling and of a command; 0 = 1. */
      timeout: seconds(0, 60, 0),
      use_ssl: flag(),
      ssl_insecure_skip_verify: flag(),
      ca_file: text(),
      cert_file: text(),
      key_file: text(),
      tls_min_version: oneOf(TLS, ""),
      tls_max_version: oneOf(TLS, ""),
      /** Ours: remembered keys are served for so long while the store cannot be asked. */
      serve_stale: seconds(0, 30 * DAY, 300),
      /** Ours: what is left of a quota is let pass uncounted while the store cannot be asked. */
      quota_uncounted: flag(),
    },
    section,
  )
  .prefault({});

const policies = z
  .object(
    {
      policy_source: z
        .enum(["", "file"], { error: 'must be "file" or "": policies are read from files only' })
        .default(""),
      /** One file of all, as one object of id: policy. Read when policy_path is empty. */
      policy_record_name: text(),
      /** A folder of `<id>.json`; the control API writes here. */
      policy_path: text(),
    },
    section,
  )
  .prefault({});

const message = z.object(
  {
    message: text(),
    code: z
      .number({ error: "must be an HTTP status" })
      .int({ error: "must be an HTTP status" })
      .refine((code) => code === 0 || (code >= 400 && code <= 599), { error: "must be 0 or from 400 to 599" })
      .default(0),
  },
  { error: 'must be {"message", "code"}' },
);

export const gateSettings = {
  storage,
  policies,
  /** Off only where it is said: whoever reads the store could otherwise call with what is in it. */
  hash_keys: flag(true),
  /** Empty = sha256. */
  hash_key_function: oneOf(HASHES, ""),
  hash_key_function_fallback: z
    .array(z.enum(HASHES, { error: `must be one of ${HASHES.slice(1).join(", ")}` }), { error: "must be a list" })
    .max(8, { error: "must hold at most 8" })
    .default([]),
  /** Empty = bcrypt. */
  basic_auth_hash_key_function: oneOf(["", "bcrypt", "murmur32", "murmur64", "murmur128", "sha256"], ""),
  enable_hashed_keys_listing: flag(),
  disable_key_actions_by_username: flag(),
  /** 0 = 3. */
  min_token_length: whole(0, 4_096, 0),
  allow_master_keys: flag(),
  force_global_session_lifetime: flag(),
  global_session_lifetime: seconds(0, 100 * 366 * DAY, 0),
  session_lifetime_respects_key_expiration: flag(),
  override_messages: z.record(z.string(), message, { error: "must be an object of messages" }).default({}),
  enable_fixed_window_rate_limiter: flag(),
  enable_sentinel_rate_limiter: flag(),
  enable_redis_rolling_limiter: flag(),
  rate_limit_response_headers: oneOf(["", "quotas", "rate_limits"], ""),
  ignore_endpoint_case: flag(),
  /** Organisations' records (`/tyk/org/keys`) count: inactive ones are refused, their rates and quotas hold. */
  enforce_org_quotas: flag(),
  allow_insecure_configs: flag(),
  suppress_redis_signal_reload: flag(),
  /** Reloads that others ask for are gathered for so long; 0 = 1. */
  reload_interval: seconds(0, 3_600, 0),
  /** Ours: peers (addresses or ranges) whose X-Real-IP and X-Forwarded-For are believed. */
  trusted_proxies: texts(),
  /** Ours: credentials nobody has that one address may try in a second, per worker, before they are refused unseen; 0 = any. */
  unknown_keys_per_second: whole(0, 1_000_000_000, 1_000),
  /** Ours: how a plain string in a list that grants something is compared. */
  plain_path_matching: oneOf(["exact", "regex"], "exact"),
  /** Ours: `tyk` answers gRPC callers with Tyk's status and JSON instead of grpc-status. */
  refusal_form: oneOf(["grpc", "tyk"], "grpc"),
  /** Ours: settings, definitions and policies are read again when their files change. */
  watch_files: flag(),
} as const;

/** Tyk's published default and what it means to have none: a control API that anybody could use stays closed. */
const PUBLISHED_SECRET = "352d20ee67be67f6340b4c0605b044b7";

/** Why the control API answers nothing but health; empty when a secret of the operator's own guards it. */
export function closedBecause(secret: string): string {
  if (secret === "") return "secret is not set";
  return secret === PUBLISHED_SECRET ? "secret is the default that Tyk publishes" : "";
}
