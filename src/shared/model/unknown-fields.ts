// Fields of a document that its schema does not know, with the name that was probably meant.
// Responsible for walking a document beside its schema. Must not know: which document it is, what follows from it.
// Governed by: Tyk takes what it does not know without a word, and so must we; an operator is told all the same.
// Runs: per policy at load, per key that an operator writes.

import { z } from "zod";
import { nearest } from "./likeness.js";
import { jsonPath } from "./problem.js";

export interface UnknownField {
  readonly path: readonly PropertyKey[];
  /** "is not a known field…", with a hint where a known name is alike. */
  readonly message: string;
}

/** What is told of one document: whoever sends ten thousand unknown names gets no ten thousand lines. */
const MOST_TOLD = 20;

/** Bookkeeping that Tyk writes into every key and policy; it restricts nothing, so its export is read in silence. */
const BOOKKEEPING = new Set([
  "allowance",
  "data_expires",
  "enable_detail_recording",
  "enable_detailed_recording",
  "hmac_string",
  "id_extractor_deadline",
  "last_check",
  "monitor",
  "oauth_client_id",
  "oauth_keys",
  "rsa_certificate_id",
]);

/** JSON Schema, as far as it is walked here. */
interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | boolean;
  readonly items?: Shape;
}

const SHAPES = new WeakMap<z.ZodType, Shape>();

/** At most twenty; an object that holds whatever names its owner likes has no unknown ones. */
export function unknownFields(schema: z.ZodType, document: unknown): UnknownField[] {
  let shape = SHAPES.get(schema);
  if (shape === undefined) {
    shape = z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }) as Shape;
    SHAPES.set(schema, shape);
  }
  const found: UnknownField[] = [];
  walk(shape, document, [], found);
  return found;
}

export function printUnknown({ path, message }: UnknownField): string {
  return `${jsonPath(path)} ${message}`;
}

function walk(shape: Shape, value: unknown, path: readonly PropertyKey[], found: UnknownField[]): void {
  if (typeof value !== "object" || value === null || found.length >= MOST_TOLD) return;
  if (Array.isArray(value)) {
    const { items } = shape;
    if (items !== undefined) for (const [at, item] of value.entries()) walk(items, item, [...path, at], found);
    return;
  }
  const { properties, additionalProperties: others } = shape;
  for (const [name, member] of Object.entries(value)) {
    const known = properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (known !== undefined) walk(known, member, [...path, name], found);
    else if (properties === undefined) walk(typeof others === "object" ? others : {}, member, [...path, name], found);
    else if (member !== null && !BOOKKEEPING.has(name) && found.length < MOST_TOLD)
      found.push({ path: [...path, name], message: messageFor(name, properties) });
  }
}

function messageFor(name: string, properties: Readonly<Record<string, Shape>>): string {
  const alike = nearest(name, Object.keys(properties));
  return `is not a known field and has no effect${alike === undefined ? "" : `; did you mean ${alike}?`}`;
}
