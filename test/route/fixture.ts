// Definitions and tables for the tests of routing.

import type { ApiDefinition, ClosedPath, Target } from "../../src/shared/model/api-definition.js";
import { parseTarget } from "../../src/shared/model/target.js";
import { compileRoutes, type RouteTable } from "../../src/worker/route/table.js";
import { settingsWith } from "../model/fixture.js";

export interface Api {
  readonly id?: string;
  readonly path: string;
  readonly port?: number;
  readonly domain?: string;
  readonly target?: string;
  readonly strip?: boolean;
  readonly keepSlash?: boolean;
}

export interface TableOptions {
  readonly strict?: boolean;
  readonly hostname?: string;
  readonly rawPaths?: boolean;
  readonly closed?: readonly ClosedPath[];
}

export function target(written: string): Target {
  const parsed = parseTarget(written);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed;
}

export function definition(api: Api): ApiDefinition {
  return {
    api_id: api.id ?? api.path,
    org_id: "",
    name: api.id ?? api.path,
    file: "x.json",
    port: api.port ?? 8080,
    protocol: "http",
    domain: api.domain ?? "",
    use_keyless: true,
    proxy: {
      listen_path: api.path,
      strip_listen_path: api.strip ?? false,
      disable_strip_slash: api.keepSlash ?? false,
      preserve_host_header: false,
      enable_load_balancing: false,
      targets: [target(api.target ?? "h2c://service:50051")],
      transport: {
        ssl_insecure_skip_verify: false,
        ssl_ciphers: [],
        ssl_min_version: 0,
        ssl_max_version: 0,
        ssl_force_common_name_check: false,
        proxy_url: "",
      },
    },
    certificates: [],
    use_mutual_tls_auth: false,
    use_certificate: false,
    client_certificates: [],
    upstream_certificates: {},
    upstream_certificates_disabled: false,
    pinned_public_keys: {},
    certificate_pinning_disabled: false,
  };
}

export function tableOf(apis: readonly Api[], options: TableOptions = {}): RouteTable {
  const settings = settingsWith({
    enable_custom_domains: true,
    hostname: options.hostname ?? "",
    http_server_options: {
      enable_strict_routes: options.strict ?? false,
      skip_url_cleaning: options.rawPaths ?? false,
    },
  });
  return compileRoutes(settings, apis.map(definition), options.closed ?? []);
}

/** The id of the API that answers, or `none`. */
export function answer(table: RouteTable, path: string, authority = "localhost:8080", port = 8080): string {
  return table.match(port, authority, path)?.api_id ?? "none";
}
