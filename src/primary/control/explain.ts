// `POST /tyk/debug/explain`: what would become of a call, by a worker's own rules.
// Responsible for reading the question without trusting it. Must not know: how it is answered.
// Governed by: issue 6, item 8. Runs: per request of an operator.

import type { Hono } from "hono";
import { z } from "zod";
import { LONGEST_TEXT, MOST_HEADERS, type Question } from "../../shared/explanation.js";
import { jsonPath } from "../../shared/model/problem.js";
import { isObject } from "../../shared/model/survey.js";
import { json, methodNotSupported, readObject, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";

const text = (what: string) =>
  z.string({ error: what }).max(LONGEST_TEXT, { error: `must have at most ${LONGEST_TEXT} characters` });
/** One octet a character: what stands in no header field cannot be asked about. */
const octets = /^[\x20-\x7e\x80-\xff\t]*$/;
const HEADER = 'must be a list of [name, value] or of "name: value"';
const header = z
  .union([z.tuple([text(HEADER), text(HEADER)]), text(HEADER)], { error: HEADER })
  .transform((given, context): readonly [string, string] => {
    const read = typeof given === "string" ? readHeader(given) : ([given[0].toLowerCase(), given[1]] as const);
    if (read !== undefined && /^[a-z0-9!#$%&'*+\-.^_`|~]+$/.test(read[0]) && octets.test(read[1])) return read;
    context.addIssue({ code: "custom", message: HEADER });
    return z.NEVER;
  });

const PATH = "must be a path such as /pkg.Service/Method, or http:// or https:// with host and port before it";
const PORT = "must be a port from 1 to 65535, or 0 for the main port";
const questionSchema = z.strictObject(
  {
    port: z
      .number({ error: PORT })
      .int({ error: PORT })
      .min(0, { error: PORT })
      .max(65_535, { error: PORT })
      .default(0),
    method: text("must be a method").default("POST"),
    authority: text("must be a host with or without a port").regex(octets, { error: "must be a host" }).default(""),
    path: text(PATH).regex(/^\/[\x21-\x7e\x80-\xff]*$/, {
      error: PATH,
    }),
    headers: z
      .array(header, { error: HEADER })
      .max(MOST_HEADERS, { error: `must be at most ${MOST_HEADERS}` })
      .default([]),
    peer: z.union([z.ipv4(), z.ipv6()], { error: "must be an address" }).default("127.0.0.1"),
  },
  { error: "must be an object of port, method, authority, path, headers, peer" },
);

/** "name: value"; the space is not needed. */
export function readHeader(given: string): readonly [string, string] | undefined {
  const colon = given.indexOf(":");
  if (colon < 1) return undefined;
  return [given.slice(0, colon).trim().toLowerCase(), given.slice(colon + 1).trim()];
}

/** The question, or why it is none. A path may be written as callers do, with scheme, host and port before it. */
export function readQuestion(given: unknown, mainPort: number): Question | string {
  const read = questionSchema.safeParse(isObject(given) ? takenApart(given) : given);
  if (!read.success) return read.error.issues.map(({ path, message }) => `${jsonPath(path)} ${message}`).join("; ");
  return { ...read.data, port: read.data.port || mainPort };
}

/** Without a port in it the main port is meant: what callers dial may stand before the gateway. */
function takenApart(given: Record<string, unknown>): Record<string, unknown> {
  const { path, ...rest } = given;
  if (typeof path !== "string" || path.length > LONGEST_TEXT) return given;
  const parts = /^(?:https?|h2c):\/\/([^/?#@]+?)(?::(\d{1,5}))?(\/.*)$/i.exec(path);
  if (parts === null) return given;
  const [, host = "", port, behind] = parts;
  const authority = port === undefined ? host : `${host}:${port}`;
  return { authority, ...(port === undefined ? {} : { port: Number(port) }), ...rest, path: behind };
}

export function explainRoutes(app: Hono, control: ControlContext): void {
  app.post("/tyk/debug/explain", async (context) => {
    const question = readQuestion(await readObject(context), control.settings().listen_port);
    if (typeof question === "string") return refusal(400, question);
    const explanation = await control.explain(question);
    return explanation === undefined ? refusal(503, "No worker could say") : json(200, explanation);
  });
  app.all("/tyk/debug/explain", methodNotSupported);
}
