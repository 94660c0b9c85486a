// Responsible for: the static table of HPACK. Must not know: anything else. Governed by: RFC 7541, appendix A.
// How often: tests only. The first field stands at index 1.

const named = (...names: string[]): [string, string][] => names.map((name) => [name, ""]);

export const STATIC_FIELDS: readonly [name: string, value: string][] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ...named("accept-charset"),
  ["accept-encoding", "gzip, deflate"],
  ...named("accept-language", "accept-ranges", "accept", "access-control-allow-origin", "age", "allow"),
  ...named("authorization", "cache-control", "content-disposition", "content-encoding", "content-language"),
  ...named("content-length", "content-location", "content-range", "content-type", "cookie", "date", "etag"),
  ...named("expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range"),
  ...named("if-unmodified-since", "last-modified", "link", "location", "max-forwards", "proxy-authenticate"),
  ...named("proxy-authorization", "range", "referer", "refresh", "retry-after", "server", "set-cookie"),
  ...named("strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "www-authenticate"),
];
