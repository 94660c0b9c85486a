/**
 * What does gathering a turn's output cost: small frames in blocks, large payloads as slices? Against a list of buffers that is put together
 * at the end. And from how many octets on is a call into the runtime cheaper than a loop? Run: node <built>/bench/micro/output.js
 */
import { bench, do_not_optimize, group, run } from "mitata";
import { ReadBlock } from "../../src/shared/base/read-block.js";
import { Output, OutputBlocks } from "../../src/shared/http2/output.js";

const FRAMES = 100;

const gathered = (output: Output): number => {
  const { bytes } = output.takeFlight();
  output.landed();
  return bytes;
};

group(`${FRAMES} frames of 40 octets in a turn`, () => {
  const frame = Buffer.alloc(40, 7);
  const output = new Output(new OutputBlocks());
  bench("output", () => {
    for (let i = 0; i < FRAMES; i++) output.copy(frame, 0, frame.length);
    do_not_optimize(gathered(output));
  });
  bench("plain twin", () => {
    const parts: Buffer[] = [];
    for (let i = 0; i < FRAMES; i++) parts.push(Buffer.from(frame));
    do_not_optimize(Buffer.concat(parts).length);
  });
});

group("64 payloads of 16 KiB in a turn, a header of 9 octets before each", () => {
  const header = Buffer.alloc(9, 7);
  const payload = new ReadBlock(Buffer.alloc(16_384, 7), null);
  payload.holds = 1;
  const output = new Output(new OutputBlocks());
  bench("output: slices", () => {
    for (let i = 0; i < 64; i++) {
      output.copy(header, 0, header.length);
      output.slice(payload, 0, payload.buf.length);
    }
    do_not_optimize(gathered(output));
  });
  bench("plain twin: copies", () => {
    const parts: Buffer[] = [];
    for (let i = 0; i < 64; i++) parts.push(Buffer.from(header), payload.buf);
    do_not_optimize(Buffer.concat(parts).length);
  });
});

for (const size of [9, 24, 48, 96, 192]) {
  group(`${size} octets into a block`, () => {
    const from = Buffer.alloc(1024, 7);
    const to = Buffer.alloc(16_384);
    let at = 0;
    bench("loop", () => {
      at = (at + size) & 8191;
      for (let i = 0; i < size; i++) to[at + i] = from[i + 100]!;
      do_not_optimize(to);
    });
    bench("call into the runtime", () => {
      at = (at + size) & 8191;
      to.set(from.subarray(100, 100 + size), at);
      do_not_optimize(to);
    });
  });
}

await run();
