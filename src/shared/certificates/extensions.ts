// The two extensions of a certificate that node:crypto does not show: how long a path below a CA may be, and whether
// it constrains names. Responsible for just enough DER. Must not know: what follows from them.
// Governed by X.690 (DER) and RFC 5280 sections 4.1, 4.2.1.9 and 4.2.1.10. Runs once per link of a chain.

export interface Constraints {
  readonly pathLength: number | undefined;
  readonly nameConstraints: boolean;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTETS = 0x04;
/** tbsCertificate's [3]. */
const EXTENSIONS = 0xa3;
const BASIC_CONSTRAINTS = Buffer.from("0603551d13", "hex");
const NAME_CONSTRAINTS = Buffer.from("0603551d1e", "hex");

interface Element {
  readonly tag: number;
  readonly whole: Buffer;
  readonly content: Buffer;
}

/** The octets are those of a certificate that OpenSSL has parsed; what is not understood constrains most. */
export function constraintsOf(der: Buffer): Constraints {
  const certificate = children(der)[0];
  const tbs = certificate === undefined ? undefined : children(certificate.content)[0];
  let pathLength: number | undefined;
  let nameConstraints = false;
  for (const extension of extensionsIn(tbs)) {
    const parts = children(extension.content);
    const oid = parts[0]?.whole;
    if (oid === undefined) continue;
    if (oid.equals(NAME_CONSTRAINTS)) nameConstraints = true;
    if (oid.equals(BASIC_CONSTRAINTS)) pathLength = lengthIn(parts);
  }
  return { pathLength, nameConstraints };
}

function extensionsIn(tbs: Element | undefined): Element[] {
  const members = tbs === undefined ? [] : children(tbs.content);
  const extensions = members.find((element) => element.tag === EXTENSIONS);
  const list = extensions === undefined ? undefined : children(extensions.content)[0];
  return list === undefined ? [] : children(list.content);
}

function lengthIn(parts: readonly Element[]): number | undefined {
  const value = parts.find((part) => part.tag === OCTETS);
  const constraints = value === undefined ? undefined : children(value.content)[0];
  if (constraints === undefined || constraints.tag !== SEQUENCE) return undefined;
  const length = children(constraints.content).find((part) => part.tag === INTEGER);
  if (length === undefined) return undefined;
  return length.content.length === 1 ? length.content[0]! : Number.POSITIVE_INFINITY;
}

function children(content: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at + 2 <= content.length; ) {
    const tag = content[at]!;
    let length = content[at + 1]!;
    let head = 2;
    if (length > 0x80) {
      const size = length - 0x80;
      if (size > 4 || at + 2 + size > content.length) break;
      length = content.readUIntBE(at + 2, size);
      head += size;
    }
    const end = at + head + length;
    if (end > content.length) break;
    found.push({ tag, whole: content.subarray(at, end), content: content.subarray(at + head, end) });
    at = end;
  }
  return found;
}
