// The fields of Tyk's classic API definition that are read, with their types. Everything else in the document is
// judged by support.ts. Must not know: settings, other definitions. Runs: once per file.

import { z } from "zod";

const flag = z.boolean({ error: "must be true or false" }).default(false);
const text = z.string({ error: "must be a string" }).default("");
const texts = z.array(z.string({ error: "must be a string" }), { error: "must be a list of strings" }).default([]);
const textMap = z
  .record(z.string(), z.string({ error: "must be a string" }), { error: "must be an object of strings" })
  .default({});
/** Of a way of authentication only what the handshake must know. */
const certificateAuth = z.looseObject({ use_certificate: flag }, { error: "must be an object" });
const lowest = z
  .literal([0, 769, 770, 771, 772], { error: "must be 771 (TLS 1.2), 772 (TLS 1.3) or 0 for the gateway's" })
  .default(0);
const highest = z
  .literal([0, 771, 772], { error: "must be 771 (TLS 1.2), 772 (TLS 1.3) or 0 for the gateway's" })
  .default(0);

export const definitionSchema = z.object(
  {
    api_id: text,
    org_id: text,
    name: text,
    active: flag,
    listen_port: z
      .number({ error: "must be a port from 1 to 65535, or 0 for the main port" })
      .int({ error: "must be a port from 1 to 65535, or 0 for the main port" })
      .min(0, { error: "must be a port from 1 to 65535, or 0 for the main port" })
      .max(65_535, { error: "must be a port from 1 to 65535, or 0 for the main port" })
      .default(0),
    protocol: text,
    domain: text,
    domain_disabled: flag,
    use_keyless: flag,
    auth: certificateAuth.prefault({}),
    auth_configs: z.record(z.string(), certificateAuth, { error: "must be an object" }).default({}),
    certificates: texts,
    use_mutual_tls_auth: flag,
    client_certificates: texts,
    upstream_certificates: textMap,
    upstream_certificates_disabled: flag,
    pinned_public_keys: textMap,
    certificate_pinning_disabled: flag,
    proxy: z
      .object(
        {
          listen_path: text,
          target_url: text,
          strip_listen_path: flag,
          disable_strip_slash: flag,
          preserve_host_header: flag,
          enable_load_balancing: flag,
          target_list: texts,
          transport: z
            .object(
              {
                ssl_insecure_skip_verify: flag,
                ssl_ciphers: texts,
                ssl_min_version: lowest,
                ssl_max_version: highest,
                ssl_force_common_name_check: flag,
                proxy_url: text,
              },
              { error: "must be an object" },
            )
            .prefault({}),
        },
        { error: "must be an object" },
      )
      .prefault({}),
    version_data: z
      .looseObject(
        {
          not_versioned: flag,
          versions: z.record(z.string(), z.unknown(), { error: "must be an object of versions" }).default({}),
        },
        { error: "must be an object" },
      )
      .prefault({}),
  },
  { error: "must be an object" },
);

export type DefinitionDocument = z.output<typeof definitionSchema>;
