// Settings that hold a secret, and the references Tyk allows in their place.
// Responsible for which paths are secret and for what a reference gives. Must not know: what a secret is for.
// A secret's text never appears in a message. Runs: at start and at a reload.

export const SECRET_PATHS: readonly (readonly string[])[] = [
  ["secret"],
  ["node_secret"],
  ["security", "private_certificate_encoding_secret"],
  ["storage", "password"],
  ["storage", "sentinel_password"],
];

export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws when the file cannot be read. */
  readonly readFile: (path: string) => string;
}

export type Resolved = { readonly value: string } | { readonly problem: string };

export function resolveSecret(written: string, sources: SecretSources): Resolved {
  const match = /^(env|file|secrets|consul|vault|kv):\/\/(.*)$/s.exec(written);
  if (match === null) return { value: written };
  const [, scheme, rest] = match as unknown as [string, string, string];
  if (scheme === "env") return fromEnvironment(rest, sources.env);
  if (scheme === "file") return fromFile(rest, sources.readFile);
  return { problem: `is a ${scheme}:// reference, which is not supported; use env://NAME or file:///path` };
}

function fromEnvironment(name: string, env: SecretSources["env"]): Resolved {
  const value = env[name];
  if (value === undefined || value === "") return { problem: `refers to the variable ${name}, which is not set` };
  return { value };
}

function fromFile(path: string, readFile: SecretSources["readFile"]): Resolved {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    return { problem: `refers to the file ${path}, which cannot be read (${code})` };
  }
  const value = text.replace(/\r?\n$/, "");
  return value === "" ? { problem: `refers to the file ${path}, which is empty` } : { value };
}

export function isSecretPath(path: readonly PropertyKey[]): boolean {
  return path.some((key) => typeof key === "string" && /secret|password/i.test(key));
}
