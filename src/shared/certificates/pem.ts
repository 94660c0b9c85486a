// PEM text taken apart: labelled blocks with their headers and octets, in order.
// Responsible for what counts as PEM, also when it was squeezed into one line. Must not know: what the octets mean.
// Governed by RFC 7468 and RFC 1421 section 4.4 (headers of the old encryption). Runs: per certificate that is loaded.

export interface PemBlock {
  readonly label: string;
  /** RFC 1421 headers, mostly none. */
  readonly headers: ReadonlyMap<string, string>;
  readonly der: Buffer;
}

/** A bundle of CAs may be large; anything larger is not a bundle. */
export const MAX_PEM_BYTES = 4 * 1024 * 1024;

/** Five dashes end a body, so that each octet is looked at once: many beginnings without an end must not hold a process up. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*(?:-(?!----)[^-]*)*)-----END \1-----/g;
const HEADER = /^([A-Za-z0-9-]+):[ \t]*(.*)$/;

export function looksLikePem(text: string): boolean {
  return text.includes("-----BEGIN ");
}

/** Empty when there is no whole block. Text around blocks is allowed, as RFC 7468 section 5.2 wants. */
export function readPem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  if (text.length > MAX_PEM_BYTES) return blocks;
  for (const match of unfolded(text).matchAll(BLOCK)) {
    const block = readBody(match[1]!, match[2]!);
    if (block !== undefined) blocks.push(block);
  }
  return blocks;
}

/** Something begins in it that is no block: cut off on the way, or not base64. */
export function isDamaged(text: string, blocks: readonly PemBlock[]): boolean {
  return text.split("-----BEGIN ").length - 1 > blocks.length;
}

export function writePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("base64");
  return `-----BEGIN ${label}-----\n${base64.replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`;
}

/** Variables and YAML turn line ends into two characters. */
function unfolded(text: string): string {
  return text.includes("\\n") ? text.replace(/\\r\\n|\\n/g, "\n") : text;
}

function readBody(label: string, body: string): PemBlock | undefined {
  const headers = new Map<string, string>();
  let base64 = "";
  for (const line of body.split(/\r?\n/)) {
    const header = base64 === "" ? HEADER.exec(line) : null;
    if (header !== null) headers.set(header[1]!.toLowerCase(), header[2]!.trim());
    else base64 += line.replace(/\s+/g, "");
  }
  if (base64 === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  return { label, headers, der: Buffer.from(base64, "base64") };
}
