/** The 61 fields every HPACK peer knows. Governed by RFC 7541, appendix A. Read once. */

export interface Field {
  readonly name: string;
  readonly value: string;
}

const TABLE = `:authority
:method=GET
:method=POST
:path=/
:path=/index.html
:scheme=http
:scheme=https
:status=200
:status=204
:status=206
:status=304
:status=400
:status=404
:status=500
accept-charset
accept-encoding=gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

/** Index 0 is not a field: the table counts from 1. */
export const STATIC_TABLE: readonly Field[] = [
  { name: "", value: "" },
  ...TABLE.split("\n").map((line) => {
    const cut = line.indexOf("=");
    return cut < 0 ? { name: line, value: "" } : { name: line.slice(0, cut), value: line.slice(cut + 1) };
  }),
];

export const STATIC_SIZE = STATIC_TABLE.length - 1;
export const entrySize = (field: Field): number => 32 + field.name.length + field.value.length;
