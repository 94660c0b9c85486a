// A definition's file that is no JSON: left out, and its path kept closed as far as it can be made out.
// Without this a comma too many in a protected API's file would hand its calls to an open API with a shorter path.
// Must not know: JSON (json-text.ts found the fault), other definitions. Runs: per broken file.

import type { Settings } from "../config.js";
import type { Judgement } from "./definition.js";

export function judgeUnreadable(
  text: string,
  file: string,
  settings: Settings,
  fault: { readonly line: number; readonly column: number; readonly message: string },
): Judgement {
  const path = /"listen_path"\s*:\s*"(\/[^"\\\s{}?#]*)"/i.exec(text)?.[1];
  const port = Number(/"listen_port"\s*:\s*(\d{1,5})/i.exec(text)?.[1] ?? 0);
  const message = `is not JSON at line ${fault.line}, column ${fault.column}: ${fault.message}`;
  return {
    file,
    api: file,
    api_id: "",
    active: true,
    definition: undefined,
    place:
      path === undefined
        ? undefined
        : { api: file, port: port === 0 ? settings.listen_port : port, domain: "", listen_path: path },
    problems: [{ level: "error", file, path: "", found: "", message, api: "" }],
  };
}
