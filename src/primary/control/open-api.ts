// The control API described for programs: an OpenAPI document made from one table of its operations.
// Responsible for saying what is asked and answered. Must not know: how anything is done. The table is compared with the
// routes in a test. Governed by: OpenAPI 3.1. Runs: on demand.

import { packageVersion } from "../version.js";

type Schema = Readonly<Record<string, unknown>>;

interface Operation {
  readonly method: "get" | "post" | "put" | "delete";
  readonly path: string;
  readonly summary: string;
  readonly query?: readonly string[];
  readonly body?: string;
  /** The schema of the 200. */
  readonly answer: string;
  readonly refusals: readonly number[];
}

const KEY_QUERY = ["hashed", "username", "org_id", "api_id"];

export const OPERATIONS: readonly Operation[] = [
  op("post", "/tyk/keys/create", "Make a key with a random token", "Change", [400, 500], "Session"),
  op("post", "/tyk/keys/preview", "A session as it would be with its policies", "Session", [400], "Session"),
  op("post", "/tyk/keys/policy/{name}", "Give a key other policies", "Change", [400, 404], "PolicyChoice", KEY_QUERY),
  op("get", "/tyk/keys", "List keys", "KeyList", [400, 404, 504], "", ["filter", "api_id"]),
  op("post", "/tyk/keys", "Make a key", "Change", [400, 500], "Session", ["suppress_reset"]),
  op("post", "/tyk/keys/{name}", "Make a key or a user of this name", "Change", [400, 500], "Session", [
    "suppress_reset",
    "hashed",
  ]),
  op("put", "/tyk/keys/{name}", "Change a key", "Change", [400, 404, 500], "Session", ["suppress_reset", ...KEY_QUERY]),
  op("get", "/tyk/keys/{name}", "Show a key", "Session", [400, 404], "", KEY_QUERY),
  op("delete", "/tyk/keys/{name}", "Remove a key", "Change", [400, 404], "", KEY_QUERY),
  op("get", "/tyk/org/keys", "List organisations", "KeyList", []),
  op("get", "/tyk/org/keys/{org}", "Show an organisation", "Session", [404]),
  op("post", "/tyk/org/keys/{org}", "Store an organisation", "Change", [400, 404], "Session", ["reset_quota"]),
  op("put", "/tyk/org/keys/{org}", "Change an organisation", "Change", [400, 404], "Session", ["reset_quota"]),
  op("delete", "/tyk/org/keys/{org}", "Remove an organisation", "Change", [404]),
  op("get", "/tyk/policies", "Loaded policies", "Policies", []),
  op("get", "/tyk/policies/{id}", "A loaded policy", "Policy", [404]),
  op("post", "/tyk/policies", "Write a policy's file", "Change", [400, 500], "Policy"),
  op("post", "/tyk/policies/{id}", "Write a policy's file", "Change", [400, 500], "Policy"),
  op("put", "/tyk/policies/{id}", "Write a policy's file", "Change", [400, 500], "Policy"),
  op("delete", "/tyk/policies/{id}", "Remove a policy's file", "Change", [500]),
  op("get", "/tyk/apis", "Loaded definitions", "Definitions", []),
  op("get", "/tyk/apis/{id}", "A loaded definition", "Definition", [404]),
  op("post", "/tyk/apis", "Write a definition's file", "Change", [400, 500], "Definition"),
  op("post", "/tyk/apis/{id}", "Write a definition's file", "Change", [400, 500], "Definition"),
  op("put", "/tyk/apis/{id}", "Write a definition's file", "Change", [400, 404, 500], "Definition"),
  op("delete", "/tyk/apis/{id}", "Remove a definition's file", "Change", [404]),
  op(
    "post",
    "/tyk/certs",
    "Store a certificate, with its chain and perhaps its key",
    "Certificate",
    [400, 405],
    "Pem",
    ["org_id"],
  ),
  op("get", "/tyk/certs", "List certificates", "CertificateList", [400], "", ["org_id", "mode"]),
  op("get", "/tyk/certs/{id}", "Show a certificate, or several whose ids a comma parts", "CertificateDetail", [404]),
  op("delete", "/tyk/certs/{id}", "Remove a certificate", "Outcome", [400, 404], "", ["org_id"]),
  op("delete", "/tyk/cache/jwks", "Fetch the keys of tokens anew", "Outcome", []),
  op("delete", "/tyk/cache/jwks/{id}", "Fetch the keys of an API's tokens anew", "Outcome", [404]),
  op("delete", "/tyk/cache/{id}", "Nothing is cached: says so", "Outcome", [404]),
  op("get", "/tyk/reload", "Read settings, definitions and policies again", "Outcome", [400], "", ["block"]),
  op("get", "/tyk/reload/group", "The same on every replica", "Outcome", []),
  op("post", "/tyk/restart", "Replace every worker without ending a call", "Outcome", [503]),
  op("get", "/tyk/health", "Not enabled, as in Tyk by default", "Outcome", [400], "", ["api_id"]),
  op("get", "/tyk/schema", "What may be sent, as JSON Schema", "Outcome", []),
  op("post", "/tyk/debug/explain", "What would become of a call, step by step", "Explanation", [400, 503], "Question"),
  op("get", "/tyk/debug/connections", "Live connections, and why their streams wait", "Inspections", [400], "", [
    "limit",
    "address",
    "api",
  ]),
  op("get", "/tyk/metrics", "What Prometheus scrapes; /metrics of the control port is the same", "Metrics", [404]),
  op("get", "/tyk/openapi.json", "This document", "Document", []),
];

// Refused on every path: the secret, the pace, the size, the store.
const EVERYWHERE = [403, 413, 429, 503];

const MEANINGS: Readonly<Record<number, string>> = {
  400: "The request cannot be understood or fulfilled as it is",
  403: "The secret is missing or wrong, or the gateway has none of its own",
  404: "There is no such thing",
  405: "There is nothing in the body",
  413: "The body is larger than 1 MiB",
  429: "Too many wrong secrets from this address",
  500: "Tyk's status for a refusal of what was asked",
  503: "The store cannot be reached",
  504: "There are more keys than can be listed in time",
};

function op(
  method: Operation["method"],
  path: string,
  summary: string,
  answer: string,
  refusals: readonly number[],
  body = "",
  query: readonly string[] = [],
): Operation {
  return { method, path, summary, answer, refusals, ...(body === "" ? {} : { body }), query };
}

export function openApiDocument(): Schema {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const operation of OPERATIONS) {
    const path = paths[operation.path] ?? {};
    path[operation.method] = describe(operation);
    paths[operation.path] = path;
  }
  return {
    openapi: "3.1.0",
    info: { title: "Sluice control API", version: packageVersion() },
    security: [{ secret: [] }],
    paths,
    components: {
      securitySchemes: { secret: { type: "apiKey", in: "header", name: "X-Tyk-Authorization" } },
      schemas: SCHEMAS,
    },
  };
}

function describe({ summary, path, query = [], body, answer, refusals }: Operation): Schema {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => parameter(match[1]!, "path", true));
  const parameters = [...inPath, ...query.map((name) => parameter(name, "query", false))];
  const content = (name: string) => ({ "application/json": { schema: { $ref: `#/components/schemas/${name}` } } });
  const responses: Record<string, Schema> = { 200: { description: summary, content: content(answer) } };
  for (const status of [...EVERYWHERE, ...refusals])
    responses[status] = { description: MEANINGS[status], content: content("Refusal") };
  return {
    summary,
    parameters,
    ...(body === undefined ? {} : { requestBody: { required: true, content: content(body) } }),
    responses,
  };
}

function parameter(name: string, place: "path" | "query", required: boolean): Schema {
  return { name, in: place, required, schema: { type: "string" } };
}

const text = { type: "string" };
const open = { type: "object", additionalProperties: true };

const SCHEMAS: Readonly<Record<string, Schema>> = {
  Change: {
    type: "object",
    required: ["key", "status", "action"],
    properties: {
      key: text,
      status: { const: "ok" },
      action: { enum: ["added", "modified", "deleted", "updated"] },
      key_hash: text,
    },
  },
  Outcome: { type: "object", required: ["status"], properties: { status: text, message: text } },
  Refusal: {
    type: "object",
    required: ["status", "message"],
    properties: { status: { const: "error" }, message: text },
  },
  KeyList: { type: "object", required: ["keys"], properties: { keys: { type: "array", items: text } } },
  Question: {
    type: "object",
    required: ["path"],
    properties: {
      port: { type: "integer", description: "0 for the main port" },
      method: text,
      authority: text,
      path: text,
      headers: { type: "array", description: 'Of "name: value" or [name, value]' },
      peer: { type: "string", description: "The caller's address" },
    },
  },
  Explanation: {
    type: "object",
    required: ["steps", "outcome"],
    properties: {
      steps: { type: "array", items: { type: "object", properties: { what: text, says: text } } },
      outcome: {
        type: "object",
        properties: {
          forwarded: { type: "boolean" },
          grpc: { type: "integer" },
          http: { type: "integer" },
          message: text,
          counted: text,
        },
      },
    },
  },
  PolicyChoice: {
    type: "object",
    properties: { policy: text, apply_policies: { type: "array", items: text } },
  },
  Pem: { type: "string", description: "PEM: a certificate, its chain and its key; or one public key" },
  Certificate: {
    type: "object",
    required: ["id", "status", "message"],
    properties: { id: text, status: { const: "ok" }, message: text },
  },
  CertificateList: {
    type: "object",
    required: ["certs"],
    properties: { certs: { type: ["array", "null"], description: "Ids; with mode=detailed what they stand for" } },
  },
  CertificateDetail: { ...open, description: "What a certificate says; an array where several were asked for" },
  Session: { ...open, description: "A key's session; GET /tyk/schema describes its fields" },
  Policy: { ...open, description: "A policy; GET /tyk/schema describes its fields" },
  Policies: { type: "array", items: { $ref: "#/components/schemas/Policy" } },
  Definition: { ...open, description: "A classic API definition; GET /tyk/schema describes its fields" },
  Definitions: { type: "array", items: { $ref: "#/components/schemas/Definition" } },
  Document: open,
  Inspections: { type: "object", required: ["workers"], properties: { workers: { type: "array", items: open } } },
  Metrics: { type: "string", description: "Prometheus' text format 0.0.4, as text/plain" },
};
