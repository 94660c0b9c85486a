// What a worker could not keep to is refused where it is written, with its place, before a worker hears of it.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { readSettings } from "../../src/shared/config/read.js";
import { compileApi } from "../../src/worker/admit/api-gate.js";
import { definitionWith, errorsOf, judge, settingsWith } from "./fixture.js";

const BAD = "^/(a+)+$";

const version = (fields: Record<string, unknown>) =>
  definitionWith({ version_data: { not_versioned: true, versions: { Default: { name: "Default", ...fields } } } });
const extended = (paths: Record<string, unknown>) => version({ use_extended_paths: true, extended_paths: paths });
const rewrite = (more: Record<string, unknown>) => ({
  url_rewrites: [{ path: "/a", match_pattern: "/a", rewrite_to: "/b", ...more }],
});
const trigger = (options: Record<string, unknown>) => rewrite({ triggers: [{ on: "any", rewrite_to: "/c", options }] });
const EXTENDED = "$.version_data.versions.Default.extended_paths";
const REWRITE = `${EXTENDED}.url_rewrites[0]`;

const PATTERNS: readonly [place: string, document: Record<string, unknown>][] = [
  [`${EXTENDED}.white_list[0].path`, extended({ white_list: [{ path: BAD }] })],
  [`${EXTENDED}.black_list[1].path`, extended({ black_list: [{ path: "/a" }, { path: "(" }] })],
  [`${EXTENDED}.ignored[0].path`, extended({ ignored: [{ path: "/\\p{L}" }] })],
  [`${EXTENDED}.rate_limit[0].path`, extended({ rate_limit: [{ path: "[", rate: 1, per: 1 }] })],
  [`${REWRITE}.path`, extended(rewrite({ path: BAD }))],
  [`${REWRITE}.match_pattern`, extended(rewrite({ match_pattern: "(" }))],
  [`${REWRITE}.rewrite_to`, extended(rewrite({ rewrite_to: "tyk://self/a" }))],
  [`${REWRITE}.triggers[0].rewrite_to`, extended(rewrite({ triggers: [{ rewrite_to: "tyk://other/a" }] }))],
  ...[
    "header_matches",
    "query_val_matches",
    "path_part_matches",
    "session_meta_matches",
    "request_context_matches",
  ].map((kind): [string, Record<string, unknown>] => [
    `${REWRITE}.triggers[0].options.${kind}.name.match_rx`,
    extended(trigger({ [kind]: { name: { match_rx: BAD } } })),
  ]),
  ["$.version_data.versions.Default.paths.white_list[0]", version({ paths: { white_list: [BAD] } })],
  ["$.version_data.versions.Default.paths.black_list[0]", version({ paths: { black_list: ["["] } })],
];

for (const [place, document] of PATTERNS) {
  test(`a definition is left out for ${place}`, () => {
    const errors = errorsOf(judge(document));
    assert.equal(errors.length, 1, errors.join("\n"));
    assert.ok(errors[0]?.startsWith(`${place} `), errors[0]);
    // The reason to refuse it: a worker could only close it.
    assert.equal(compileApi(document as unknown as Parameters<typeof compileApi>[0], {}).closed, true);
  });
}

test("a pattern of an entry that is switched off, or of a list that is not in use, refuses nothing", () => {
  assert.deepEqual(errorsOf(judge(extended({ white_list: [{ path: BAD, disabled: true }] }))), []);
  assert.deepEqual(errorsOf(judge(extended(rewrite({ match_pattern: "(", disabled: true })))), []);
  assert.deepEqual(
    errorsOf(judge(version({ use_extended_paths: false, extended_paths: { white_list: [{ path: BAD }] } }))),
    [],
  );
});

test("what is compared as it stands is no pattern, unless the settings say that it is", () => {
  const document = version({ paths: { white_list: ["/pkg.Service/Method"] } });
  assert.deepEqual(errorsOf(judge(document)), []);
  assert.deepEqual(errorsOf(judge(document, settingsWith({ plain_path_matching: "regex" }))), []);
});

const pem = (type: "rsa" | "ec"): string => {
  const { publicKey } =
    type === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: 2_048 })
      : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return Buffer.from(publicKey.export({ type: "spki", format: "pem" })).toString("base64");
};

test("keys of tokens that could not be used leave the definition out, with their place", () => {
  const rsa = pem("rsa");
  const ec = pem("ec");
  const tokens = (fields: Record<string, unknown>) =>
    errorsOf(judge(definitionWith({ use_keyless: false, enable_jwt: true, ...fields })));
  const wrong: [string, Record<string, unknown>][] = [
    ["$.jwt_signing_method", { jwt_signing_method: "none" }],
    ["$.jwt_signing_method", {}],
    ["$.jwt_source", { jwt_signing_method: "rsa", jwt_source: "bm8gUEVN" }],
    ["$.jwt_source", { jwt_signing_method: "rsa", jwt_source: "!!!" }],
    ["$.jwt_source", { jwt_signing_method: "rsa", jwt_source: ec }],
    ["$.jwt_source", { jwt_signing_method: "ecdsa", jwt_source: rsa }],
    // Whoever can read a public key could sign with it.
    ["$.jwt_source", { jwt_signing_method: "hmac", jwt_source: rsa }],
    ["$.jwt_source", { jwt_signing_method: "hmac", jwt_source: "!!!" }],
    ["$.jwt_source", { jwt_signing_method: "rsa", jwt_source: "http://[" }],
    [
      "$.jwt_jwks_uris[1].url",
      { jwt_signing_method: "rsa", jwt_jwks_uris: [{ url: "https://a/b" }, { url: "ftp://a" }] },
    ],
  ];
  for (const [place, fields] of wrong) {
    const errors = tokens(fields);
    assert.equal(errors.length, 1, `${place}: ${errors.join("\n")}`);
    assert.ok(errors[0]?.startsWith(`${place} must be`), errors[0]);
  }
  const { problems } = judge(
    definitionWith({ use_keyless: false, enable_jwt: true, jwt_signing_method: "hmac", jwt_source: "!!!" }),
  );
  assert.deepEqual(
    problems.filter(({ path }) => path === "$.jwt_source").map(({ found }) => found),
    [""],
  );
  for (const fields of [
    { jwt_signing_method: "rsa", jwt_source: rsa },
    { jwt_signing_method: "ecdsa", jwt_source: ec },
    { jwt_signing_method: "hmac", jwt_source: "c2VjcmV0" },
    { jwt_signing_method: "hmac" },
    { jwt_signing_method: "rsa", jwt_jwks_uris: [{ url: "https://keys.example/set" }] },
  ])
    assert.deepEqual(tokens(fields), []);
});

test("addresses are understood as a worker understands them", () => {
  const allowed = (address: string) =>
    errorsOf(judge(definitionWith({ enable_ip_whitelisting: true, allowed_ips: [address] })));
  for (const address of ["10.0.0.1", "10.0.0.0/8", "2001:db8::/32", "::1", "::ffff:10.0.0.0/104", "[::1]"])
    assert.deepEqual(allowed(address), [], address);
  for (const address of ["10.0.0.0/33", "10.0.0", "host", "::ffff:10.0.0.0/8", "10.0.0.0/8/8", ""])
    assert.equal(allowed(address).length, 1, address);
});

test("a proxy to be trusted that is no address makes the settings unusable: every address list would hang on it", () => {
  const read = (trusted_proxies: unknown) =>
    readSettings({ trusted_proxies }, "tyk.conf", { env: {}, readFile: () => "" });
  assert.equal(read(["10.0.0.0/8", "::1"]).problems.length, 0);
  const { settings, problems } = read(["10.0.0.1", "proxy.example"]);
  assert.equal(settings, undefined);
  assert.equal(problems[0]?.path, "$.trusted_proxies[1]");
});
