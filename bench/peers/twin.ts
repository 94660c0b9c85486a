/**
 * The plain obvious proxy: `node:http2` on both sides, streams piped. What most people would write first, and the reason Sluice has
 * an engine of its own. Shares no code with Sluice. Usage: twin.js PORT UPSTREAM-PORT.
 */
import { readFileSync } from "node:fs";
import * as http2 from "node:http2";

const [port = "0", target = "", certificate = "", key = ""] = process.argv.slice(2);
const { HTTP2_HEADER_STATUS, NGHTTP2_CANCEL } = http2.constants;
const settings: http2.Settings = { initialWindowSize: 1 << 20, maxConcurrentStreams: 1000 };
const connections = 4;
const pool: (http2.ClientHttp2Session | undefined)[] = new Array(connections).fill(undefined);
let next = 0;

const session = (): http2.ClientHttp2Session => {
  const slot = next++ % connections;
  const open = pool[slot];
  if (open !== undefined && !open.closed && !open.destroyed) return open;
  const fresh = http2.connect(target, { settings, rejectUnauthorized: false });
  fresh.on("connect", () => fresh.setLocalWindowSize(1 << 24));
  fresh.on("error", () => {});
  fresh.on("close", () => {
    if (pool[slot] === fresh) pool[slot] = undefined;
  });
  pool[slot] = fresh;
  return fresh;
};

const onStream = (down: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void => {
  const up = session().request(headers as http2.OutgoingHttpHeaders, { endStream: false });
  let trailers: http2.IncomingHttpHeaders = {};
  up.on("response", (answer) => {
    if (down.destroyed) return;
    down.respond({ ...answer, [HTTP2_HEADER_STATUS]: answer[":status"] } as http2.OutgoingHttpHeaders, {
      waitForTrailers: true,
    });
    down.on("wantTrailers", () => down.sendTrailers(trailers as http2.OutgoingHttpHeaders));
    up.pipe(down);
  });
  up.on("trailers", (fields) => {
    trailers = fields;
  });
  up.on("error", () => down.close(NGHTTP2_CANCEL));
  down.on("error", () => up.close(NGHTTP2_CANCEL));
  down.on("aborted", () => up.close(NGHTTP2_CANCEL));
  down.pipe(up);
};

const server =
  certificate === ""
    ? http2.createServer({ settings })
    : http2.createSecureServer({ settings, cert: readFileSync(certificate), key: readFileSync(key) });
server.on("session", (opened) => {
  opened.setLocalWindowSize(1 << 24);
  opened.on("error", () => {});
});
server.on("stream", onStream);
server.listen(Number(port), "127.0.0.1");
