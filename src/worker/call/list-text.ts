// A request's field by its name, as the gate reads it. Must not know: what it is read for.
// Governed by: RFC 9113 section 8.2.3, RFC 9110 section 5.2. Runs: once per decision.

import { FieldKind } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";

/** Several fields of one name are joined: cookies with "; ", all else with ", ". */
export function textOfField(list: FieldList, name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < list.length; i++) {
    const field = list.fields[i]!;
    if (field.name.text !== name) continue;
    if (value === undefined) value = field.value;
    else value += (field.name.kind === FieldKind.COOKIE ? "; " : ", ") + field.value;
  }
  return value;
}
