/** Sluice itself, built into `dist` of the checkout given: so that two revisions can run side by side. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GATED_API } from "../keys.js";
import { ORG } from "../load/token.js";
import type { Plain } from "../scenarios.js";
import type { Peer, Place } from "./peer.js";

export const CONTROL_SECRET = "bench";

const definition = (place: Place, index: number): object => ({
  api_id: index === 0 ? GATED_API : `bench-${index}`,
  org_id: ORG,
  name: `bench ${index}`,
  active: true,
  ...(index === 0 && place.keys > 0
    ? { use_standard_auth: true, auth_configs: { authToken: { auth_header_name: "authorization" } } }
    : { use_keyless: true }),
  ...(place.frontTls === null ? {} : { protocol: "https" }),
  proxy: {
    // The first takes every path, the others take none of the bench's: the table must still be searched.
    listen_path: index === 0 ? "/" : `/other.Service${index}/`,
    target_url: `${place.backTls ? "https" : "h2c"}://127.0.0.1:${place.upstreamPort}`,
    strip_listen_path: false,
  },
  version_data: { not_versioned: true, versions: { Default: { name: "Default" } } },
});

const settings = (place: Place): object => ({
  listen_address: "127.0.0.1",
  listen_port: place.port,
  control_api_port: place.controlPort,
  secret: CONTROL_SECRET,
  ...(place.storage === null ? {} : { storage: place.storage, enable_hashed_keys_listing: true }),
  app_path: join(place.folder, "apps"),
  disable_ports_whitelist: true,
  ...(place.frontTls === null
    ? {}
    : {
        http_server_options: {
          use_ssl: true,
          certificates: [
            {
              domain_name: "127.0.0.1",
              cert_file: join(place.folder, "front.crt"),
              key_file: join(place.folder, "front.key"),
            },
          ],
        },
      }),
  ...(place.backTls ? { proxy_ssl_insecure_skip_verify: true } : {}),
});

const writeConfiguration = (place: Place): string => {
  const file = join(place.folder, "sluice.conf");
  mkdirSync(join(place.folder, "apps"), { recursive: true });
  for (let i = 0; i < place.definitions; i++) {
    writeFileSync(join(place.folder, "apps", `${i}.json`), JSON.stringify(definition(place, i)));
  }
  if (place.frontTls !== null) {
    writeFileSync(join(place.folder, "front.crt"), place.frontTls.certificate);
    writeFileSync(join(place.folder, "front.key"), place.frontTls.key);
  }
  writeFileSync(file, JSON.stringify(settings(place), null, 2));
  return file;
};

export const sluiceMain = (root: string): string => join(root, "dist", "primary", "main.js");

export const sluice = (root: string, name = "sluice", title = "Sluice", nodeArgs: readonly string[] = []): Peer => ({
  name,
  title,
  role: "sluice",
  program: null,
  version: [],
  cannot: () => null,
  command: (place) => {
    if (!existsSync(sluiceMain(root))) throw new Error(`${title} is not built: run \`npm run build\``);
    const args = [
      ...nodeArgs,
      sluiceMain(root),
      "start",
      "--conf",
      writeConfiguration(place),
      "--workers",
      String(place.workers),
    ];
    return { file: process.execPath, args, folder: place.folder };
  },
});

/** Sluice without what the scenario asks about: the other half of the pair. */
export const plainSluice = (root: string, plain: Plain): Peer => ({
  ...sluice(root, "plain", "Sluice, plain"),
  role: "proxy",
  plain,
});
