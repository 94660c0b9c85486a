/**
 * Whether a decoded field section is a well-formed request, response or trailer section: one pass that also notes the
 * fields the caller needs, so that nobody walks the list again.
 *
 * What can be told from one field alone was judged when the field was made (`Field.flaw`); here is what depends on the
 * others. A fault is a small integer with a row in `headerFaults`; each makes the message malformed, answered with a
 * stream error PROTOCOL_ERROR (8.1.1).
 *
 * Must not know: streams, routes, bytes. Governed by RFC 9113 section 8. Runs for each list that was not remembered.
 */
import { FieldFlaw, FieldKind } from "./hpack/field.js";
import type { FieldList } from "./hpack/field-list.js";

export const HeaderFault = {
  ...FieldFlaw,
  PSEUDO_AFTER_REGULAR: 20,
  PSEUDO_REPEATED: 21,
  RESPONSE_PSEUDO_IN_REQUEST: 22,
  REQUEST_PSEUDO_IN_RESPONSE: 23,
  PSEUDO_IN_TRAILERS: 24,
  METHOD_MISSING: 25,
  SCHEME_MISSING: 26,
  PATH_MISSING: 27,
  CONNECT_REFUSED: 28,
  ASTERISK_NOT_OPTIONS: 29,
  HOST_DIFFERS: 30,
  HOST_REPEATED: 31,
  CONTENT_LENGTH_REPEATED: 32,
  STATUS_MISSING: 33,
  TE_NOT_IN_REQUEST: 34,
} as const;

export interface HeaderFaultRow {
  readonly section: string;
  readonly sentence: string;
}

/** The rule behind each HeaderFault. */
export const headerFaults: Readonly<Record<number, HeaderFaultRow>> = {
  [HeaderFault.NAME_ILLEGAL]: {
    section: "8.2.1",
    sentence: "a field name holds an illegal octet or an upper case letter",
  },
  [HeaderFault.VALUE_ILLEGAL]: {
    section: "8.2.1",
    sentence: "a field value holds NUL, CR or LF, or begins or ends with a blank",
  },
  [HeaderFault.CONNECTION_SPECIFIC]: { section: "8.2.2", sentence: "a connection-specific field is present" },
  [HeaderFault.TE_NOT_TRAILERS]: { section: "8.2.2", sentence: "te holds something else than trailers" },
  [HeaderFault.METHOD_ILLEGAL]: { section: "8.3.1", sentence: ":method is not a token" },
  [HeaderFault.SCHEME_ILLEGAL]: { section: "8.3.1", sentence: ":scheme is not a scheme" },
  [HeaderFault.PATH_ILLEGAL]: {
    section: "8.3.1",
    sentence: ":path is empty, does not begin with a slash, or holds an illegal octet",
  },
  [HeaderFault.AUTHORITY_ILLEGAL]: {
    section: "8.3.1",
    sentence: ":authority or host holds user information or an illegal octet",
  },
  [HeaderFault.STATUS_ILLEGAL]: { section: "8.3.2", sentence: ":status is not three digits from 100 on, or is 101" },
  [HeaderFault.CONTENT_LENGTH_ILLEGAL]: {
    section: "8.1.1",
    sentence: "content-length is not a number that can be counted",
  },
  [HeaderFault.UNKNOWN_PSEUDO]: { section: "8.3", sentence: "a pseudo-header field is not defined" },
  [HeaderFault.EXTENDED_CONNECT]: {
    section: "8.3",
    sentence: ":protocol is used although extended CONNECT is not offered",
  },
  [HeaderFault.PSEUDO_AFTER_REGULAR]: {
    section: "8.3",
    sentence: "a pseudo-header field stands behind a regular field",
  },
  [HeaderFault.PSEUDO_REPEATED]: { section: "8.3", sentence: "a pseudo-header field is repeated" },
  [HeaderFault.RESPONSE_PSEUDO_IN_REQUEST]: { section: "8.3", sentence: "a request holds :status" },
  [HeaderFault.REQUEST_PSEUDO_IN_RESPONSE]: {
    section: "8.3",
    sentence: "a response holds a request's pseudo-header field",
  },
  [HeaderFault.PSEUDO_IN_TRAILERS]: { section: "8.1", sentence: "trailers hold a pseudo-header field" },
  [HeaderFault.METHOD_MISSING]: { section: "8.3.1", sentence: ":method is missing" },
  [HeaderFault.SCHEME_MISSING]: { section: "8.3.1", sentence: ":scheme is missing" },
  [HeaderFault.PATH_MISSING]: { section: "8.3.1", sentence: ":path is missing" },
  [HeaderFault.CONNECT_REFUSED]: { section: "8.5", sentence: "CONNECT is not offered here" },
  [HeaderFault.ASTERISK_NOT_OPTIONS]: { section: "8.3.1", sentence: ":path is an asterisk and :method is not OPTIONS" },
  [HeaderFault.HOST_DIFFERS]: { section: "8.3.1", sentence: "host names another entity than :authority" },
  [HeaderFault.HOST_REPEATED]: { section: "8.3.1", sentence: "host is repeated" },
  [HeaderFault.CONTENT_LENGTH_REPEATED]: { section: "8.1.1", sentence: "content-length is repeated" },
  [HeaderFault.STATUS_MISSING]: { section: "8.3.2", sentence: ":status is missing" },
  [HeaderFault.TE_NOT_IN_REQUEST]: { section: "8.2.2", sentence: "te is present outside of a request" },
};

/** A request's header section. Returns 0 or a HeaderFault; what it found is in the list's members. */
export function checkRequest(list: FieldList): number {
  list.clearFindings();
  const fields = list.fields;
  const length = list.length;
  let regular = false;
  let unstable = 0;
  for (let i = 0; i < length; i++) {
    const field = fields[i]!;
    if (field.flaw !== 0) return field.flaw;
    if (!field.stable) unstable++;
    const kind = field.name.kind;
    if (kind >= FieldKind.METHOD && kind <= FieldKind.STATUS) {
      if (regular) return HeaderFault.PSEUDO_AFTER_REGULAR;
    } else {
      regular = true;
    }
    switch (kind) {
      case FieldKind.METHOD:
        if (list.method !== null) return HeaderFault.PSEUDO_REPEATED;
        list.method = field;
        break;
      case FieldKind.SCHEME:
        if (list.scheme !== null) return HeaderFault.PSEUDO_REPEATED;
        list.scheme = field;
        break;
      case FieldKind.AUTHORITY:
        if (list.authority !== null) return HeaderFault.PSEUDO_REPEATED;
        list.authority = field;
        break;
      case FieldKind.PATH:
        if (list.path !== null) return HeaderFault.PSEUDO_REPEATED;
        list.path = field;
        break;
      case FieldKind.STATUS:
        return HeaderFault.RESPONSE_PSEUDO_IN_REQUEST;
      case FieldKind.HOST:
        if (list.host !== null) return HeaderFault.HOST_REPEATED;
        list.host = field;
        break;
      case FieldKind.TE:
        list.te = field;
        break;
      case FieldKind.CONTENT_LENGTH:
        if (list.contentLength >= 0) return HeaderFault.CONTENT_LENGTH_REPEATED;
        list.contentLength = digits(field.value);
        break;
      case FieldKind.CONTENT_TYPE:
        list.contentType = field;
        break;
      case FieldKind.GRPC_TIMEOUT:
        list.grpcTimeout = field;
        break;
      case FieldKind.EXPECT:
        list.expect = field;
        break;
    }
  }
  list.unstable = unstable;
  return requestAsWhole(list);
}

function requestAsWhole(list: FieldList): number {
  const method = list.method;
  if (method === null) return HeaderFault.METHOD_MISSING;
  if (method.value === "CONNECT") return HeaderFault.CONNECT_REFUSED;
  if (list.scheme === null) return HeaderFault.SCHEME_MISSING;
  if (list.path === null) return HeaderFault.PATH_MISSING;
  if (list.path.value === "*" && method.value !== "OPTIONS") return HeaderFault.ASTERISK_NOT_OPTIONS;
  if (list.host !== null && list.authority !== null && !sameEntity(list)) return HeaderFault.HOST_DIFFERS;
  return 0;
}

/** 8.3.1: host has to name the entity that :authority names; case and a scheme's own port make no difference. */
function sameEntity(list: FieldList): boolean {
  const host = list.host!.value;
  const authority = list.authority!.value;
  if (host === authority) return true;
  const port = list.scheme!.value.toLowerCase() === "https" ? ":443" : ":80";
  return withoutPort(host.toLowerCase(), port) === withoutPort(authority.toLowerCase(), port);
}

function withoutPort(authority: string, port: string): string {
  return authority.endsWith(port) ? authority.slice(0, -port.length) : authority;
}

/** A response's header section, interim (1xx, see `statusCode`) or final. */
export function checkResponse(list: FieldList): number {
  list.clearFindings();
  const fields = list.fields;
  const length = list.length;
  let unstable = 0;
  for (let i = 0; i < length; i++) {
    const field = fields[i]!;
    if (field.flaw !== 0) return field.flaw;
    if (!field.stable) unstable++;
    switch (field.name.kind) {
      case FieldKind.STATUS:
        if (list.status !== null) return HeaderFault.PSEUDO_REPEATED;
        if (i > 0) return HeaderFault.PSEUDO_AFTER_REGULAR;
        list.status = field;
        list.statusCode = digits(field.value);
        break;
      case FieldKind.METHOD:
      case FieldKind.SCHEME:
      case FieldKind.AUTHORITY:
      case FieldKind.PATH:
        return HeaderFault.REQUEST_PSEUDO_IN_RESPONSE;
      case FieldKind.TE:
        return HeaderFault.TE_NOT_IN_REQUEST;
      case FieldKind.CONTENT_LENGTH:
        if (list.contentLength >= 0) return HeaderFault.CONTENT_LENGTH_REPEATED;
        list.contentLength = digits(field.value);
        break;
      case FieldKind.CONTENT_TYPE:
        list.contentType = field;
        break;
      case FieldKind.GRPC_STATUS:
        list.grpcStatus = field;
        break;
      case FieldKind.GRPC_MESSAGE:
        list.grpcMessage = field;
        break;
    }
  }
  list.unstable = unstable;
  return list.status === null ? HeaderFault.STATUS_MISSING : 0;
}

/** A trailer section, of a request or of a response. */
export function checkTrailers(list: FieldList): number {
  list.clearFindings();
  const fields = list.fields;
  const length = list.length;
  let unstable = 0;
  for (let i = 0; i < length; i++) {
    const field = fields[i]!;
    if (field.flaw !== 0) return field.flaw;
    if (!field.stable) unstable++;
    const kind = field.name.kind;
    if (kind >= FieldKind.METHOD && kind <= FieldKind.STATUS) return HeaderFault.PSEUDO_IN_TRAILERS;
    if (kind === FieldKind.TE) return HeaderFault.TE_NOT_IN_REQUEST;
    if (kind === FieldKind.GRPC_STATUS) list.grpcStatus = field;
    else if (kind === FieldKind.GRPC_MESSAGE) list.grpcMessage = field;
  }
  list.unstable = unstable;
  return 0;
}

/** The number that digits stand for; they were looked at when the field was made. */
function digits(text: string): number {
  let value = 0;
  for (let i = 0; i < text.length; i++) value = value * 10 + text.charCodeAt(i) - 0x30;
  return value;
}
