import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateSchema } from "../../src/shared/keys/gate-schema.js";
import { compileApi } from "../../src/worker/admit/api-gate.js";
import type { GatedDefinition } from "../../src/worker/admit/gated-definition.js";

const least = { api_id: "a", proxy: { listen_path: "/" } };

describe("the gate's part of a definition", () => {
  test("is what the worker's gate compiles, without the fields of others", () => {
    const parsed: GatedDefinition = gateSchema.parse({
      ...least,
      slug: "others",
      auth_configs: { authToken: { auth_header_name: "x-key", signature: {} } },
      allowed_ips: null,
      version_data: {
        versions: { Default: { paths: { white_list: ["/a.B"], black_list: null }, extended_paths: null } },
      },
    });
    assert.ok(!("slug" in parsed));
    const api = compileApi(parsed, {});
    assert.deepEqual([api.closed, api.fields, api.lists.restricts], [false, ["x-key"], true]);
  });

  test("that has a wrong type is an error at its path, never a default", () => {
    for (const [wrong, path] of [
      [{ use_keyless: "false" }, "use_keyless"],
      [{ enable_ip_blacklisting: 1 }, "enable_ip_blacklisting"],
      [{ blacklisted_ips: "10.0.0.1" }, "blacklisted_ips"],
      [
        { version_data: { versions: { v: { paths: { black_list: [5] } } } } },
        "version_data.versions.v.paths.black_list.0",
      ],
      [
        { version_data: { versions: { v: { extended_paths: { white_list: [{}] } } } } },
        "version_data.versions.v.extended_paths.white_list.0.path",
      ],
      [{ auth_configs: { authToken: "x" } }, "auth_configs.authToken"],
      [{ global_rate_limit: { rate: "5" } }, "global_rate_limit.rate"],
    ] as const) {
      const result = gateSchema.safeParse({ ...least, ...wrong });
      assert.equal(result.success, false);
      assert.deepEqual(
        result.error?.issues.map((issue) => issue.path.join(".")),
        [path],
      );
    }
  });
});
