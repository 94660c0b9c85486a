// Responsible for: who is let in by which credential, and what the others are told. Governed by: spec 7.4, 6.4, 6.2.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { basic, type Caller, type Fields, token } from "./caller.js";
import { type Control, rights } from "./control.js";
import { keyed, onBothHomes, World } from "./world.js";

const APIS = ["token", "basic", "places", "strip", "both", "userfirst"];

const DEFINITIONS = (target: string) => [
  keyed("token", target, "/token.Api"),
  keyed("basic", target, "/basic.Api", { use_standard_auth: false, use_basic_auth: true, auth_configs: {} }),
  keyed("places", target, "/places.Api", {
    auth_configs: {
      authToken: {
        auth_header_name: "x-token",
        use_param: true,
        param_name: "token",
        use_cookie: true,
        cookie_name: "tok",
      },
    },
  }),
  keyed("strip", target, "/strip.Api", {
    strip_auth_data: true,
    auth_configs: {
      authToken: {
        auth_header_name: "x-token",
        use_param: true,
        param_name: "token",
        use_cookie: true,
        cookie_name: "tok",
      },
    },
  }),
  keyed("both", target, "/both.Api", {
    use_basic_auth: true,
    base_identity_provided_by: "auth_token",
    auth_configs: { authToken: { auth_header_name: "x-token" }, basic: { auth_header_name: "authorization" } },
  }),
  keyed("userfirst", target, "/userfirst.Api", {
    use_basic_auth: true,
    base_identity_provided_by: "basic_auth_user",
    auth_configs: { authToken: { auth_header_name: "x-token" }, basic: { auth_header_name: "authorization" } },
  }),
];

interface Row {
  readonly says: string;
  readonly path: string;
  readonly fields: () => Fields;
  readonly code: number;
  readonly http: number;
  readonly message?: string;
  readonly challenge?: boolean;
}

const MISSING = "Authorization field missing";
const DISALLOWED = "Access to this API has been disallowed";
const BAD = "Attempted access with malformed header, ";
const { OK, UNAUTHENTICATED, PERMISSION_DENIED } = status;

onBothHomes("credentials", (home) => {
  let world: World;
  let caller: Caller;
  let control: Control;
  let key = "";
  let other = "";
  before(async () => {
    world = await World.start({ home, definitions: DEFINITIONS });
    caller = world.caller();
    control = world.control();
    key = (await control.key({ access_rights: rights(APIS) })).key;
    other = (await control.key({ access_rights: rights(["strip"]) })).key;
    for (const [user, password] of [
      ["user", "password"],
      ["colon", "pass:word:more"],
      ["bellbell", "bellbell1"],
    ]) {
      await control.key({ access_rights: rights(APIS), basic_auth_data: { password } }, user);
    }
    await control.key({ access_rights: rights(APIS) }, "nopassword");
    await control.key({ access_rights: rights(APIS) }, "abcd");
  });
  after(() => world?.stop());

  const rows: Row[] = [
    { says: "no token", path: "/token.Api/M", fields: () => ({}), code: UNAUTHENTICATED, http: 401, message: MISSING },
    { says: "a raw token", path: "/token.Api/M", fields: () => token(key), code: OK, http: 200 },
    ...["Bearer ", "bearer ", "BEARER ", "bEaReR "].map((prefix) => ({
      says: `a token after "${prefix}"`,
      path: "/token.Api/M",
      fields: () => token(prefix + key),
      code: OK,
      http: 200,
    })),
    ...["Bearer:", "Basic ", "Token "].map((prefix) => ({
      says: `a token after "${prefix}", which is left as it is`,
      path: "/token.Api/M",
      fields: () => token(prefix + key),
      code: UNAUTHENTICATED,
      http: 403,
      message: DISALLOWED,
    })),
    {
      says: "an unknown token",
      path: "/token.Api/M",
      fields: () => token("unknown-token"),
      code: UNAUTHENTICATED,
      http: 403,
      message: DISALLOWED,
    },
    {
      says: "a token that is too short",
      path: "/token.Api/M",
      fields: () => token("ab"),
      code: UNAUTHENTICATED,
      http: 403,
      message: DISALLOWED,
    },
    {
      says: "a token that is too long",
      path: "/token.Api/M",
      fields: () => token("t".repeat(4_097)),
      code: UNAUTHENTICATED,
      http: 403,
      message: DISALLOWED,
    },
    { says: "a custom key by its raw name", path: "/token.Api/M", fields: () => token("abcd"), code: OK, http: 200 },
    ...["abcdxyz", "abcdabc", "abc", "abcd1"].map((near) => ({
      says: `${near}, which is nearly a custom key`,
      path: "/token.Api/M",
      fields: () => token(near),
      code: UNAUTHENTICATED,
      http: 403,
      message: DISALLOWED,
    })),
    {
      says: "a token with three characters more",
      path: "/token.Api/M",
      fields: () => token(`${key}abc`),
      code: UNAUTHENTICATED,
      http: 403,
      message: DISALLOWED,
    },
    {
      says: "a key without a right to the API",
      path: "/token.Api/M",
      fields: () => token(other),
      code: PERMISSION_DENIED,
      http: 403,
      message: DISALLOWED,
    },
    {
      says: "no user",
      path: "/basic.Api/M",
      fields: () => ({}),
      code: UNAUTHENTICATED,
      http: 401,
      message: MISSING,
      challenge: true,
    },
    { says: "the right password", path: "/basic.Api/M", fields: () => basic("user:password"), code: OK, http: 200 },
    {
      says: "the scheme in small letters",
      path: "/basic.Api/M",
      fields: () => token(basic("user:password").authorization!.replace("Basic", "basic")),
      code: OK,
      http: 200,
    },
    {
      says: "a password with colons",
      path: "/basic.Api/M",
      fields: () => basic("colon:pass:word:more"),
      code: OK,
      http: 200,
    },
    ...["user:wrong", "user:", "user:password:more", "nobody:password", ":", "nopassword:", "nopassword:x"].map(
      (text) => ({
        says: `user and password "${text}"`,
        path: "/basic.Api/M",
        fields: () => basic(text),
        code: UNAUTHENTICATED,
        http: 401,
        message: "User not authorised",
        challenge: true,
      }),
    ),
    {
      says: "another scheme than Basic",
      path: "/basic.Api/M",
      fields: () => token(basic("user:password").authorization!.replace("Basic", "Bearer")),
      code: UNAUTHENTICATED,
      http: 400,
      message: `${BAD}header not in basic auth format`,
    },
    {
      says: "more than two words",
      path: "/basic.Api/M",
      fields: () => token(`${basic("user:password").authorization} more`),
      code: UNAUTHENTICATED,
      http: 400,
      message: `${BAD}header not in basic auth format`,
    },
    {
      says: "what is not base64",
      path: "/basic.Api/M",
      fields: () => token("Basic user:password"),
      code: UNAUTHENTICATED,
      http: 400,
      message: `${BAD}auth data not encoded correctly`,
    },
    {
      says: "base64 without a colon",
      path: "/basic.Api/M",
      fields: () => basic("userpassword"),
      code: UNAUTHENTICATED,
      http: 400,
      message: `${BAD}values not in basic auth format`,
    },
    {
      says: "a token in its own header",
      path: "/places.Api/M",
      fields: () => ({ "x-token": key }),
      code: OK,
      http: 200,
    },
    {
      says: "a token in the header of others",
      path: "/places.Api/M",
      fields: () => token(key),
      code: UNAUTHENTICATED,
      http: 401,
      message: MISSING,
    },
    {
      says: "a token in a cookie",
      path: "/places.Api/M",
      fields: () => ({ cookie: `a=b; tok=${key}; c=d` }),
      code: OK,
      http: 200,
    },
    {
      says: "a wrong cookie over a right header",
      path: "/places.Api/M",
      fields: () => ({ cookie: "tok=nonsense", "x-token": key }),
      code: UNAUTHENTICATED,
      http: 403,
      message: DISALLOWED,
    },
    {
      says: "both of two methods",
      path: "/both.Api/M",
      fields: () => ({ "x-token": key, ...basic("user:password") }),
      code: OK,
      http: 200,
    },
    {
      says: "the token of two methods, without the user",
      path: "/both.Api/M",
      fields: () => ({ "x-token": key }),
      code: UNAUTHENTICATED,
      http: 401,
      message: MISSING,
      challenge: true,
    },
    {
      says: "the user of two methods, without the token",
      path: "/both.Api/M",
      fields: () => basic("user:password"),
      code: UNAUTHENTICATED,
      http: 401,
      message: MISSING,
    },
    {
      says: "a right user beside a token without rights, where the token gives the session",
      path: "/both.Api/M",
      fields: () => ({ "x-token": other, ...basic("user:password") }),
      code: PERMISSION_DENIED,
      http: 403,
      message: DISALLOWED,
    },
    {
      says: "a right user beside a token without rights, where the user gives the session",
      path: "/userfirst.Api/M",
      fields: () => ({ "x-token": other, ...basic("user:password") }),
      code: OK,
      http: 200,
    },
    {
      says: "a wrong password beside a right token",
      path: "/userfirst.Api/M",
      fields: () => ({ "x-token": key, ...basic("user:wrong") }),
      code: UNAUTHENTICATED,
      http: 401,
      message: "User not authorised",
      challenge: true,
    },
  ];
  for (const row of rows) {
    it(`${row.says} is ${row.code === OK ? "let in" : `${status[row.code]}, or ${row.http} over HTTP`}`, async () => {
      const seen = await caller.call(row.path, row.fields());
      assert.equal(seen.code, row.code, seen.message);
      if (row.message !== undefined) assert.equal(seen.message, row.message);
      const http = await caller.http(row.path, row.fields());
      assert.equal(http.status, row.http);
      if (row.message !== undefined) assert.deepEqual(JSON.parse(http.body), { error: row.message });
      assert.equal(
        http.fields["www-authenticate"],
        row.challenge ? 'Basic realm="basic"'.replace("basic", nameOf(row)) : undefined,
      );
    });
  }

  it("a token in the query is let in, as in Tyk before a header", async () => {
    assert.equal(await caller.code(`/places.Api/M?token=${encodeURIComponent(key)}`), OK);
    assert.equal(await caller.code(`/places.Api/M?token=nonsense`, { "x-token": key }), UNAUTHENTICATED);
  });

  describe("strip_auth_data", () => {
    it("takes header, cookie and parameter away and leaves the rest", async () => {
      const fields = { "x-token": key, cookie: `a=b; tok=${key}; c=d`, "x-other": "stays" };
      const seen = await caller.call(`/strip.Api/M?x=1&token=${encodeURIComponent(key)}&y=2`, fields);
      assert.equal(seen.code, OK, seen.message);
      assert.equal(seen.arrived?.path, "/strip.Api/M?x=1&y=2");
      assert.equal(seen.arrived?.fields["x-token"], undefined);
      assert.equal(seen.arrived?.fields["cookie"], "a=b; c=d");
      assert.equal(seen.arrived?.fields["x-other"], "stays");
    });

    it("leaves no empty cookie behind", async () => {
      const seen = await caller.call("/strip.Api/M", { cookie: `tok=${key}` });
      assert.equal(seen.code, OK);
      assert.equal(seen.arrived?.fields["cookie"], undefined);
    });

    it("is off unless it is asked for", async () => {
      const seen = await caller.call("/token.Api/M", token(key));
      assert.equal(seen.arrived?.fields["authorization"], key);
    });
  });

  describe("similar users and passwords", () => {
    it("are all refused but the exact ones, when the exact one is remembered", async () => {
      assert.equal(await caller.code("/basic.Api/M", basic("bellbell:bellbell1")), OK);
      for (const text of ["bellbell:bellbell", "bellbell:bellbell13", "bellbell1:bellbell1", "bellbel:bellbell1"])
        assert.equal(await caller.code("/basic.Api/M", basic(text)), UNAUTHENTICATED, text);
      assert.equal(await caller.code("/basic.Api/M", basic("bellbell:bellbell1")), OK);
    });
  });

  describe("a key that changes", () => {
    it("stops with its deletion and is unknown afterwards", async () => {
      const made = await control.key({ access_rights: rights(["token"]) });
      assert.equal(await caller.code("/token.Api/M", token(made.key)), OK);
      await control.done("DELETE", `/tyk/keys/${encodeURIComponent(made.key)}`);
      assert.equal(await caller.code("/token.Api/M", token(made.key)), UNAUTHENTICATED);
    });

    it("can be deleted by its hash", async () => {
      const made = await control.key({ access_rights: rights(["token"]) });
      assert.equal(await caller.code("/token.Api/M", token(made.key)), OK);
      await control.done("DELETE", `/tyk/keys/${made.hash}?hashed=true`);
      assert.equal(await caller.code("/token.Api/M", token(made.key)), UNAUTHENTICATED);
    });

    it("loses and gains rights with an update", async () => {
      const made = await control.key({ access_rights: rights(["token"]) });
      const path = `/tyk/keys/${encodeURIComponent(made.key)}`;
      assert.equal(await caller.code("/token.Api/M", token(made.key)), OK);
      await control.done("PUT", path, { org_id: "test", access_rights: rights(["strip"]) });
      assert.equal(await caller.code("/token.Api/M", token(made.key)), PERMISSION_DENIED);
      await control.done("PUT", path, { org_id: "test", access_rights: rights(["token"]) });
      assert.equal(await caller.code("/token.Api/M", token(made.key)), OK);
    });

    it("is told when it is inactive, also when it was remembered as active", async () => {
      const made = await control.key({ access_rights: rights(["token"]) });
      assert.equal(await caller.code("/token.Api/M", token(made.key)), OK);
      const inactive = { org_id: "test", access_rights: rights(["token"]), is_inactive: true };
      await control.done("PUT", `/tyk/keys/${encodeURIComponent(made.key)}`, inactive);
      const seen = await caller.call("/token.Api/M", token(made.key));
      assert.deepEqual([seen.code, seen.message], [PERMISSION_DENIED, "Key is inactive, please renew"]);
      const http = await caller.http("/token.Api/M", token(made.key));
      assert.deepEqual([http.status, JSON.parse(http.body)], [403, { error: "Key is inactive, please renew" }]);
    });

    it("is told when it has expired", async () => {
      const made = await control.key({ access_rights: rights(["token"]), expires: 1_000_000_000 });
      const seen = await caller.call("/token.Api/M", token(made.key));
      assert.deepEqual([seen.code, seen.message], [UNAUTHENTICATED, "Key has expired, please renew"]);
      assert.equal((await caller.http("/token.Api/M", token(made.key))).status, 401);
    });

    it("has a new password after an update and not the old one", async () => {
      await control.key({ access_rights: rights(["basic"]), basic_auth_data: { password: "old" } }, "changing");
      assert.equal(await caller.code("/basic.Api/M", basic("changing:old")), OK);
      await control.done("PUT", "/tyk/keys/changing?username=true&org_id=test", {
        org_id: "test",
        access_rights: rights(["basic"]),
        basic_auth_data: { password: "new" },
      });
      assert.equal(await caller.code("/basic.Api/M", basic("changing:old")), UNAUTHENTICATED);
      assert.equal(await caller.code("/basic.Api/M", basic("changing:new")), OK);
    });
  });
});

const nameOf = (row: Row): string => row.path.slice(1, row.path.indexOf(".Api"));
