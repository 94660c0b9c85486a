// The OpenAPI document against the routes it describes and against what they answer; bodies that mean nothing good.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { OPERATIONS } from "../../src/primary/control/open-api.js";
import { type Answer, Desk, definition, session } from "./desk.js";

const desk = new Desk({ enable_hashed_keys_listing: true });
desk.load("orders");
after(() => desk.close());

type Node = { readonly [key: string]: Node } & { readonly $ref?: string };

const describedPath = (path: string) => path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");

test("the document describes every route and nothing else", async () => {
  const { body } = await desk.ask("GET", "/tyk/openapi.json");
  assert.equal(body.openapi, "3.1.0");
  const described = Object.entries(body.paths as Node).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const served = desk.app.routes
    .filter(({ method, path }) => method !== "ALL" && path.startsWith("/tyk/"))
    .map(({ method, path }) => `${method} ${describedPath(path)}`);
  assert.deepEqual([...new Set(described)].sort(), [...new Set(served)].sort());
});

test("every reference of the document leads somewhere and every parameter in a path is declared", async () => {
  const { body } = await desk.ask("GET", "/tyk/openapi.json");
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { $ref } = node as { $ref?: string };
    if ($ref !== undefined) assert.notEqual(followed(body, $ref), undefined, $ref);
    for (const inner of Object.values(node)) visit(inner);
  };
  visit(body);
  for (const [path, methods] of Object.entries(
    body.paths as Record<string, Record<string, { parameters: { name: string; in: string }[]; responses: object }>>,
  )) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const { parameters, responses } of Object.values(methods)) {
      assert.deepEqual(
        parameters.filter((each) => each.in === "path").map((each) => each.name),
        names,
        path,
      );
      assert.ok(Object.keys(responses).includes("200"));
    }
  }
});

test("answers have the form that the document gives them", async () => {
  const { body } = await desk.ask("GET", "/tyk/openapi.json");
  const made = await desk.ask("POST", "/tyk/keys/create", session(["orders"]));
  const answers: [string, string, Answer][] = [
    ["/tyk/keys/create", "post", made],
    ["/tyk/keys/create", "post", await desk.ask("POST", "/tyk/keys/create", "{")],
    ["/tyk/keys", "get", await desk.ask("GET", "/tyk/keys")],
    ["/tyk/keys/{name}", "get", await desk.ask("GET", `/tyk/keys/${made.body.key}`)],
    ["/tyk/keys/{name}", "get", await desk.ask("GET", "/tyk/keys/nobody")],
    ["/tyk/keys/{name}", "delete", await desk.ask("DELETE", `/tyk/keys/${made.body.key}`)],
    ["/tyk/apis", "get", await desk.ask("GET", "/tyk/apis")],
    ["/tyk/apis", "post", await desk.ask("POST", "/tyk/apis", definition("bills"))],
    ["/tyk/policies", "get", await desk.ask("GET", "/tyk/policies")],
    ["/tyk/reload", "get", await desk.ask("GET", "/tyk/reload")],
    ["/tyk/health", "get", await desk.ask("GET", "/tyk/health?api_id=orders")],
    ["/tyk/schema", "get", await desk.ask("GET", "/tyk/schema")],
  ];
  for (const [path, method, answer] of answers) {
    const response = body.paths[path][method].responses[answer.status];
    assert.notEqual(response, undefined, `${method} ${path} ${answer.status}`);
    const { schema } = response.content["application/json"];
    assert.equal(misfit(answer.body, schema, body), "", `${method} ${path} ${answer.status}`);
  }
});

test("a reload that is waited for says why it was refused", async () => {
  assert.deepEqual((await desk.ask("GET", "/tyk/reload?block=true")).body, { status: "ok", message: "" });
  desk.refusal = "orders.json is not JSON";
  const refused = await desk.ask("GET", "/tyk/reload/?block=true");
  const message = "Reload refused: orders.json is not JSON";
  assert.deepEqual([refused.status, refused.body], [400, { status: "error", message }]);
  assert.equal((await desk.ask("GET", "/tyk/reload")).status, 200);
  desk.refusal = "";
});

test("what may be sent is described as JSON Schema", async () => {
  const { schema } = (await desk.ask("GET", "/tyk/schema")).body;
  for (const name of ["definition", "policy", "session"]) assert.equal(schema[name].type, "object", name);
});

const WRITING = OPERATIONS.filter((operation) => operation.method !== "get").map(({ method, path }) => ({
  method: method.toUpperCase(),
  path: path.replace(/\{\w+\}/g, "fuzzed"),
}));
/** Tyk's own: creation of a key answers 500 to what is no session, policies to a storage that is not there. */
const MAY_BE_500 = /^POST \/tyk\/keys|^PUT \/tyk\/keys|^DELETE \/tyk\/policies/;
const KNOWN = [
  "Unmarshalling failed",
  "Failed to create key, ensure security settings are correct.",
  "Failed to create key - ",
  "Delete failed",
];

async function askedWith(method: string, path: string, body: string): Promise<void> {
  const answer = await desk.ask(method, path, body);
  assert.equal(typeof answer.body, "object");
  if (answer.status < 500) return;
  assert.match(`${method} ${path}`, MAY_BE_500);
  assert.equal(answer.status, 500);
  assert.ok(
    KNOWN.some((message) => answer.body.message.startsWith(message)),
    answer.body.message,
  );
}

const likeASession = fc.dictionary(
  fc.constantFrom(
    "org_id",
    "rate",
    "per",
    "quota_max",
    "expires",
    "access_rights",
    "apply_policies",
    "basic_auth_data",
    "meta_data",
    "certificate",
    "last_updated",
    "tags",
    "session_lifetime",
    "smoothing",
    "__proto__",
    "id",
    "api_id",
    "partitions",
    "policy",
    "proxy",
    "version_data",
  ),
  fc.oneof(fc.jsonValue(), fc.constant({ orders: { api_id: "orders" } }), fc.constant({ password: "\0" })),
);

test("no body makes the control API fail", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...WRITING),
      fc.oneof(
        fc.string(),
        fc.json(),
        likeASession.map((value) => JSON.stringify(value)),
      ),
      ({ method, path }, body) => askedWith(method, path, body),
    ),
    { numRuns: 400 },
  );
});

test("a body that is nested without end, cut or of strange numbers is malformed, not fatal", async () => {
  const deep = "[".repeat(200_000);
  const bodies = [
    deep,
    `{"meta_data":${deep}${"]".repeat(200_000)}}`,
    `{"meta_data":${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}}`,
    '{"rate":1e999}',
    '{"rate":-1e308,"per":1e-308,"access_rights":{"orders":{}}}',
    '{"org_id":"\\ud800","access_rights":{"orders":{}}}',
    '{"__proto__":{"rate":1},"constructor":{"prototype":{}}}',
    "\ufeff{}",
    "\0",
  ];
  for (const { method, path } of WRITING) for (const body of bodies) await askedWith(method, path, body);
});

test("no path makes the control API fail", async () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("%", "%00", "%2e%2e", "%ff", "..", "a%2Fb", "constructor", "__proto__"),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "DELETE", "PUT", "POST"),
      fc.constantFrom("keys", "apis", "policies", "org/keys", "keys/policy", "cache", "cache/jwks", "certs"),
      piece,
      async (method, resource, name) => {
        const path = `/tyk/${resource}/${name.replace(/[\s\\?#]/g, "")}`;
        const body = method === "GET" || method === "DELETE" ? undefined : session(["orders"]);
        const answer = await desk.ask(method, path, body);
        if (answer.status >= 500)
          assert.ok(
            KNOWN.some((message) => answer.body.message.startsWith(message)),
            `${path} ${answer.body.message}`,
          );
      },
    ),
    { numRuns: 400 },
  );
});

function followed(document: unknown, reference: string): unknown {
  return reference
    .slice(2)
    .split("/")
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

/** As much of JSON Schema as the document uses; empty when the value fits. */
function misfit(value: unknown, given: Schema, document: unknown): string {
  const schema = given.$ref === undefined ? given : (followed(document, given.$ref) as Schema);
  if (schema.const !== undefined && value !== schema.const) return `is not ${String(schema.const)}`;
  if (schema.enum !== undefined && !schema.enum.includes(value)) return `is none of ${schema.enum.join()}`;
  if (schema.type === "string" && typeof value !== "string") return "is no string";
  if (schema.type === "array") {
    if (!Array.isArray(value)) return "is no array";
    return value.map((item) => misfit(item, schema.items ?? {}, document)).find((found) => found !== "") ?? "";
  }
  if (schema.type !== "object") return "";
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "is no object";
  const missing = schema.required?.find((name) => !(name in value));
  if (missing !== undefined) return `lacks ${missing}`;
  for (const [name, member] of Object.entries(value)) {
    const found = misfit(member, schema.properties?.[name] ?? {}, document);
    if (found !== "") return `${name} ${found}`;
  }
  return "";
}
