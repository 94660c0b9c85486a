/**
 * The static table of RFC 7541 appendix A, and the look-ups by text that are made once per interned field.
 *
 * Must not know: interned fields, dynamic tables. Runs at start and once per distinct name or field.
 */

export const STATIC_LENGTH = 61;
/** What both dynamic tables hold at most until settings say otherwise (RFC 9113 6.5.2). */
export const DEFAULT_TABLE_SIZE = 4096;

/** Index 1 stands first; a line is a name, or a name and a value parted by the first blank. */
const lines = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
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
www-authenticate`.split("\n");

export const staticNames: readonly string[] = lines.map((line) => line.split(" ", 1)[0]!);
export const staticValues: readonly string[] = lines.map((line, at) => line.slice(staticNames[at]!.length + 1));

const firstIndex = new Map<string, number>();
for (let at = staticNames.length - 1; at >= 0; at--) firstIndex.set(staticNames[at]!, at + 1);

/** The lowest index whose entry has this name; 0 where none has. */
export function staticIndexOfName(text: string): number {
  return firstIndex.get(text) ?? 0;
}

/** The index of the entry that equals name and value; 0 where none does. Entries of one name stand together. */
export function staticIndexOf(nameIndex: number, value: string): number {
  if (nameIndex === 0) return 0;
  const name = staticNames[nameIndex - 1];
  for (let at = nameIndex - 1; at < STATIC_LENGTH && staticNames[at] === name; at++) {
    if (staticValues[at] === value) return at + 1;
  }
  return 0;
}
