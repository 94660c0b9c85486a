// An API definition as it is served: Tyk's names, checked, complete, and nothing that is not used.
// Responsible for the shape. Must not know: Tyk's whole document (definition-schema.ts, support.ts), routing.
// It travels to workers as plain data.

import type { GateDocument } from "../keys/gate-schema.js";
import type { CallSettings } from "./call-settings.js";
import type { HeaderChanges } from "./header-changes.js";
import type { TargetPolicy } from "./target-policy.js";

/** "http" and "h2c" both carry cleartext HTTP/2 and differ only in the port whitelist; "https" is TLS. */
export type ListenProtocol = "http" | "h2c" | "https";

/** One upstream address as written in target_url or target_list. */
export interface Target {
  readonly scheme: "h2c" | "https";
  /** Name or address, an IPv6 one without brackets. */
  readonly host: string;
  readonly port: number;
  /** `:authority` towards the service, as written by the operator. */
  readonly authority: string;
  /** Path of the target, empty or beginning with `/`, as written. */
  readonly basePath: string;
  /** Without `?`; merged before the caller's query. */
  readonly query: string;
}

/** What the gate reads: who may call, with what, from where, how often. */
export type GateFields = Readonly<Partial<Omit<GateDocument, "api_id" | "org_id" | "name" | "use_keyless" | "proxy">>>;

export interface ApiDefinition extends GateFields {
  readonly api_id: string;
  readonly org_id: string;
  readonly name: string;
  /** Where it was read. */
  readonly file: string;
  /** The port it is served on: its own, or the main one. */
  readonly port: number;
  readonly protocol: ListenProtocol;
  /** Empty unless custom domains are on and this one is not disabled. */
  readonly domain: string;
  readonly use_keyless: boolean;
  readonly proxy: {
    /** As served: a duplicate has its suffix already. */
    readonly listen_path: string;
    readonly strip_listen_path: boolean;
    readonly disable_strip_slash: boolean;
    readonly preserve_host_header: boolean;
    readonly enable_load_balancing: boolean;
    /** One, or with load balancing all of target_list; a repeated entry weighs more. */
    readonly targets: readonly Target[];
    readonly transport: UpstreamTransport;
  };
  /** References to certificates (store id, path or PEM) of the domain; empty while it is disabled. */
  readonly certificates: readonly string[];
  readonly use_mutual_tls_auth: boolean;
  /** The caller's certificate is its key (`auth.use_certificate`). */
  readonly use_certificate: boolean;
  /** References to leafs or CAs that may call; empty without use_mutual_tls_auth. */
  readonly client_certificates: readonly string[];
  /** By host pattern, a reference each; empty while disabled. */
  readonly upstream_certificates: Readonly<Record<string, string>>;
  /** By host pattern, a comma list of key fingerprints or references; empty while disabled. */
  readonly pinned_public_keys: Readonly<Record<string, string>>;
  readonly upstream_certificates_disabled: boolean;
  readonly certificate_pinning_disabled: boolean;
  /** How targets are chosen, checked and left out; absent where nothing is said about it. */
  readonly targeting?: TargetPolicy | undefined;
  /** Deadlines, breakers, retries, sizes of messages; absent where nothing is said about them. */
  readonly calls?: CallSettings | undefined;
  /** What is changed in header lists; absent where nothing is. */
  readonly headers?: HeaderChanges | undefined;
}

/** TLS towards the services of one definition; what is absent is the gateway's setting. */
export interface UpstreamTransport {
  readonly ssl_insecure_skip_verify: boolean;
  readonly ssl_ciphers: readonly string[];
  /** 0 = the gateway's. */
  readonly ssl_min_version: number;
  readonly ssl_max_version: number;
  readonly ssl_force_common_name_check: boolean;
  /** A forward proxy, `http://host:port`; empty for none. */
  readonly proxy_url: string;
}

/**
 * The path of a definition that was left out. It stays closed: otherwise its calls would run into an API with a
 * shorter listen path, without the restriction for which the definition was left out.
 */
export interface ClosedPath {
  readonly api: string;
  readonly port: number;
  readonly domain: string;
  readonly listen_path: string;
}
