// What must not stand in an explanation: every value that a caller proves itself with, in each form in which it may turn
// up again (a rewrite may have put it into a path). Must not know: what is explained. Runs: per explanation.

import type { Question } from "../../shared/explanation.js";
import { FieldKind, type FieldStore } from "../../shared/http2/hpack/field.js";
import type { ApiGate } from "../admit/api-gate.js";
import { stripBearer, takeToken } from "../admit/credentials/fields.js";

const HIDDEN = "(hidden)";
/** Shorter ones are no credentials, and would tear holes into every sentence. */
const SHORTEST = 3;
/** So many characters of a credential in a row are hidden too: a pattern may have cut it. */
const PIECE = 8;

export class Secrets {
  private readonly short: readonly string[];
  /** Every run of PIECE characters of the others. */
  private readonly runs = new Set<string>();

  constructor(question: Question, gate: ApiGate | null, store: FieldStore) {
    const found = new Set<string>();
    const add = (value: string): void => {
      for (const text of [value, stripBearer(value), ...pieces(value)])
        for (const form of [text, encodeURIComponent(text)]) if (form.length >= SHORTEST) found.add(form);
    };
    const headers = gate?.auth.map(({ place }) => place.header) ?? [];
    for (const [name, value] of question.headers) {
      const { kind } = store.name(name);
      if (kind === FieldKind.CREDENTIAL || kind === FieldKind.COOKIE || headers.includes(name)) add(value);
    }
    const get = (name: string): string | undefined => question.headers.find(([each]) => each === name)?.[1];
    for (const { place } of gate?.auth ?? []) add(takeToken(place, get, question.path));
    this.short = [...found].filter(({ length }) => length < PIECE);
    for (const text of found)
      for (let at = 0; at + PIECE <= text.length; at++) this.runs.add(text.slice(at, at + PIECE));
  }

  hide(text: string): string {
    let shown = this.withoutRuns(text);
    for (const secret of this.short) shown = shown.replaceAll(secret, HIDDEN);
    return shown;
  }

  private withoutRuns(text: string): string {
    if (this.runs.size === 0) return text;
    let shown = "";
    let at = 0;
    while (at < text.length) {
      let end = at;
      while (this.runs.has(text.slice(end, end + PIECE))) end++;
      if (end === at) shown += text[at++];
      else {
        shown += HIDDEN;
        at = end - 1 + PIECE;
      }
    }
    return shown;
  }
}

/** Of basic authentication and of cookies also what is inside. */
function pieces(value: string): string[] {
  const basic = /^basic +([A-Za-z0-9+/=]+)$/i.exec(value)?.[1];
  if (basic !== undefined) {
    const text = Buffer.from(basic, "base64").toString("latin1");
    return [basic, text, text.slice(text.indexOf(":") + 1)];
  }
  return value.includes("=") ? value.split(";").map((pair) => pair.slice(pair.indexOf("=") + 1).trim()) : [];
}

/** A path without its query, which may hold anything. */
export function withoutQuery(path: string): string {
  const mark = path.indexOf("?");
  return mark < 0 ? path : `${path.slice(0, mark)}?…`;
}
