/**
 * What is wrong with one field looked at alone, as a small integer kept in the field: judged once when the field is
 * made, so that a repeated field costs one comparison. `header-rules.ts` holds the table behind the integers.
 *
 * Must not know: the list a field stands in. Governed by RFC 9113 8.2 and 8.3. Runs once per interned field.
 */
import { FieldKind } from "./field-kind.js";

export const FieldFlaw = {
  NONE: 0,
  NAME_ILLEGAL: 1,
  VALUE_ILLEGAL: 2,
  CONNECTION_SPECIFIC: 3,
  TE_NOT_TRAILERS: 4,
  METHOD_ILLEGAL: 5,
  SCHEME_ILLEGAL: 6,
  PATH_ILLEGAL: 7,
  AUTHORITY_ILLEGAL: 8,
  STATUS_ILLEGAL: 9,
  CONTENT_LENGTH_ILLEGAL: 10,
  UNKNOWN_PSEUDO: 11,
  EXTENDED_CONNECT: 12,
} as const;

/** 8.2.1: no octet up to SP, no upper case, none from DEL on; a colon only in front. */
export function isLegalName(text: string): boolean {
  const length = text.length;
  if (length === 0 || (length === 1 && text.charCodeAt(0) === 0x3a)) return false;
  for (let i = 0; i < length; i++) {
    const octet = text.charCodeAt(i);
    if (octet <= 0x20 || octet >= 0x7f || (octet >= 0x41 && octet <= 0x5a)) return false;
    if (octet === 0x3a && i > 0) return false;
  }
  return true;
}

/** 8.2.1: no NUL, CR or LF anywhere, neither SP nor HTAB at either end. */
export function isLegalValue(text: string): boolean {
  const length = text.length;
  if (length === 0) return true;
  if (isBlank(text.charCodeAt(0)) || isBlank(text.charCodeAt(length - 1))) return false;
  for (let i = 0; i < length; i++) {
    const octet = text.charCodeAt(i);
    // RFC 9110 section 5.5: controls other than HTAB are invalid, and strict services close the connection for them.
    if ((octet < 0x20 && octet !== 0x09) || octet === 0x7f) return false;
    // One char is one octet; a wider char could only come from our own side and would be cut on the wire.
    if (octet > 0xff) return false;
  }
  return true;
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

function isDigit(octet: number): boolean {
  return octet >= 0x30 && octet <= 0x39;
}

function isLetter(octet: number): boolean {
  return (octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x7a;
}

/** RFC 9110 5.6.2. */
function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    if (!isLetter(octet) && !isDigit(octet) && !"!#$%&'*+-.^_`|~".includes(text[i]!)) return false;
  }
  return text.length > 0;
}

/** RFC 3986 3.1: a letter, then letters, digits, "+", "-" and ".". */
function isScheme(text: string): boolean {
  if (text.length === 0 || !isLetter(text.charCodeAt(0))) return false;
  for (let i = 1; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    if (!isLetter(octet) && !isDigit(octet) && octet !== 0x2b && octet !== 0x2d && octet !== 0x2e) return false;
  }
  return true;
}

/** RFC 9113 8.3.1 with RFC 3986 3.3: begins with "/", or is "*"; nothing a request line could not carry. */
function isPath(text: string): boolean {
  if (text !== "*" && text.charCodeAt(0) !== 0x2f) return false;
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    if (octet <= 0x20 || octet === 0x7f || octet === 0x23) return false;
  }
  return true;
}

/** 8.3.1: no user information; RFC 3986 3.2: ends before a slash, a question mark or a number sign. */
function isAuthority(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    if (octet <= 0x20 || octet === 0x7f) return false;
    if (octet === 0x40 || octet === 0x2f || octet === 0x3f || octet === 0x23 || octet === 0x5c) return false;
  }
  return true;
}

/** Three digits from 100 on; 101 has no meaning in HTTP/2 (8.6). */
function isStatus(text: string): boolean {
  return text.length === 3 && isDigits(text) && text.charCodeAt(0) !== 0x30 && text !== "101";
}

function isDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isDigit(text.charCodeAt(i))) return false;
  return text.length > 0;
}

/** Fifteen digits are exact in a double; a longer body is not one we could ever count. */
function isContentLength(text: string): boolean {
  return text.length <= 15 && isDigits(text);
}

/** The first flaw of a field of this kind, or 0. */
export function flawOf(kind: number, nameValid: boolean, value: string): number {
  switch (kind) {
    case FieldKind.UNKNOWN_PSEUDO:
      return FieldFlaw.UNKNOWN_PSEUDO;
    case FieldKind.PROTOCOL:
      return FieldFlaw.EXTENDED_CONNECT;
    case FieldKind.CONNECTION_SPECIFIC:
      return FieldFlaw.CONNECTION_SPECIFIC;
  }
  if (!nameValid) return FieldFlaw.NAME_ILLEGAL;
  if (!isLegalValue(value)) return FieldFlaw.VALUE_ILLEGAL;
  switch (kind) {
    case FieldKind.METHOD:
      return isToken(value) ? 0 : FieldFlaw.METHOD_ILLEGAL;
    case FieldKind.SCHEME:
      return isScheme(value) ? 0 : FieldFlaw.SCHEME_ILLEGAL;
    case FieldKind.PATH:
      return isPath(value) ? 0 : FieldFlaw.PATH_ILLEGAL;
    case FieldKind.AUTHORITY:
    case FieldKind.HOST:
      return isAuthority(value) ? 0 : FieldFlaw.AUTHORITY_ILLEGAL;
    case FieldKind.STATUS:
      return isStatus(value) ? 0 : FieldFlaw.STATUS_ILLEGAL;
    case FieldKind.TE:
      return value.toLowerCase() === "trailers" ? 0 : FieldFlaw.TE_NOT_TRAILERS;
    case FieldKind.CONTENT_LENGTH:
      return isContentLength(value) ? 0 : FieldFlaw.CONTENT_LENGTH_ILLEGAL;
  }
  return FieldFlaw.NONE;
}

/** True for kinds of which flawOf asks nothing but legal octets. */
export function judgesOctetsOnly(kind: number): boolean {
  switch (kind) {
    case FieldKind.UNKNOWN_PSEUDO:
    case FieldKind.PROTOCOL:
    case FieldKind.CONNECTION_SPECIFIC:
    case FieldKind.METHOD:
    case FieldKind.SCHEME:
    case FieldKind.PATH:
    case FieldKind.AUTHORITY:
    case FieldKind.HOST:
    case FieldKind.STATUS:
    case FieldKind.TE:
    case FieldKind.CONTENT_LENGTH:
      return false;
  }
  return true;
}
