/**
 * A process that shakes hands: full TLS handshakes, as fast as they come, until its stdin ends; prints how many there were. At a low
 * priority, so that the callers who are timed beside it do not wait for this side of the storm. Must not know why.
 * Arguments: port, handshakes at once.
 */
import { connect } from "node:tls";

const [port, atOnce] = process.argv.slice(2).map(Number) as [number, number];
let done = 0;
let failed = 0;
let over = false;

const shake = (): void => {
  if (over) return;
  const socket = connect({ port, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false });
  let came = false;
  socket.once("secureConnect", () => {
    came = true;
    done++;
    socket.destroy();
  });
  socket.on("error", () => {});
  socket.once("close", () => {
    if (!came && !over) failed++;
    shake();
  });
};

for (let n = 0; n < atOnce; n++) shake();
process.stdin.on("end", () => {
  over = true;
  process.stdout.write(JSON.stringify({ done, failed }), () => process.exit(0));
});
process.stdin.resume();
