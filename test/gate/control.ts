// Responsible for: asking a gateway's control API, as values. Must not know: what a change does. How often: tests only.

export type Json = { [name: string]: unknown };

export interface ControlAnswer {
  readonly status: number;
  readonly body: Json;
  /** False where the answer says that some worker has not applied the change yet. */
  readonly applied: boolean;
}

export interface MadeKey {
  readonly key: string;
  readonly hash: string;
}

export const SECRET = "the secret of the tests";

export class Control {
  constructor(private readonly port: number) {}

  async ask(method: string, path: string, body?: unknown): Promise<ControlAnswer> {
    const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: { "x-tyk-authorization": SECRET },
      ...(method === "GET" ? {} : { body: body === undefined ? "" : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      body: text.startsWith("{") ? (JSON.parse(text) as Json) : { text },
      applied: answer.headers.get("x-sluice-applied") !== "pending",
    };
  }

  /** As `ask`, for what has to succeed and to count on every worker of the host. */
  async done(method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await this.ask(method, path, body);
    if (answer.status !== 200 || !answer.applied)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)} applied ${answer.applied}`);
    return answer.body;
  }

  /** A key made by the gateway, or one with a name. */
  async key(session: Json, name = ""): Promise<MadeKey> {
    const path = name === "" ? "/tyk/keys/create" : `/tyk/keys/${encodeURIComponent(name)}`;
    const made = await this.done("POST", path, { org_id: "test", ...session });
    return { key: String(made["key"]), hash: String(made["key_hash"] ?? "") };
  }

  reload(): Promise<Json> {
    return this.done("GET", "/tyk/reload?block=true");
  }
}

/** Rights to APIs, with what else an entry says. */
export function rights(apis: Readonly<Record<string, Json>> | readonly string[]): Json {
  const entries = Array.isArray(apis) ? apis.map((id) => [id, {}] as const) : Object.entries(apis as object);
  return Object.fromEntries(
    entries.map(([id, more]) => [id, { api_id: id, api_name: id, versions: ["Default"], ...more }]),
  );
}
