// Responsible for: what every HTTP/2 server must accept (44 cases of the conformance suite).
// Must not know: what is tested. Governed by: RFC 9113; RFC 7541, section 6. How often: tests only.

import * as accept from "../support/wire/acceptance.js";
import type { WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { indexed, literal, tableSize } from "../support/wire/hpack.js";
import { blockOf, type Case, get, post, section } from "./conformance-case.js";

const { Code, Setting } = f;
const root = { dependsOn: 0, weight: 255 };

const start = section("generic", "1", {
  says: "the first frame after our preface is SETTINGS",
  raw: true,
  run: async (c) => {
    c.sendBytes(f.PREFACE).send(f.settings([Setting.INITIAL_WINDOW_SIZE, 65_535]));
    const it = await c.next();
    if (typeof it === "string" || it.type !== f.Type.SETTINGS || it.flags & f.Flag.ACK) throw c.failure("no SETTINGS");
  },
});

/** Zero windows keep a stream half closed: its reply cannot end. */
const halfClosed = (c: WireClient) => {
  c.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 0]));
  get(c);
};

const streams = section(
  "generic",
  "2",
  {
    says: "PRIORITY on an idle stream is accepted",
    run: (c) => {
      c.send(f.priority(1, root)).send(f.ping());
      return accept.pingAcked(c, "12345678");
    },
  },
  {
    says: "WINDOW_UPDATE on a half-closed stream is accepted",
    run: async (c) => {
      halfClosed(c);
      c.send(f.windowUpdate(1, 1));
      await accept.anyDataFrame(c);
    },
  },
  {
    says: "PRIORITY on a half-closed stream is accepted",
    run: async (c) => {
      halfClosed(c);
      c.send(f.priority(1, root)).send(f.windowUpdate(1, 1));
      await accept.anyDataFrame(c);
    },
  },
  {
    says: "RST_STREAM on a half-closed stream is accepted",
    run: (c) => {
      get(c);
      c.send(f.reset(1, Code.CANCEL)).send(f.ping());
      return accept.pingAcked(c, "12345678");
    },
  },
  {
    says: "PRIORITY on a closed stream is accepted",
    run: async (c) => {
      get(c);
      await accept.streamEnd(c);
      c.send(f.priority(1, root)).send(f.ping());
      await accept.pingAcked(c, "12345678");
    },
  },
);

/** The request goes out with `send`, and its HEADERS must be answered on stream 1. */
const answered = (says: string, send: (c: WireClient) => void): Omit<Case, "id"> => ({
  says,
  run: (c) => {
    send(c);
    return accept.headersOn(c, 1);
  },
});

const data = section(
  "generic",
  "3.1",
  answered("a DATA frame is accepted", (c) => {
    post(c);
    c.send(f.data(1, "test", { end: true }));
  }),
  answered("several DATA frames are accepted", (c) => {
    post(c);
    c.send(f.data(1, "test")).send(f.data(1, "test", { end: true }));
  }),
  answered("a padded DATA frame is accepted", (c) => {
    post(c);
    c.send(f.data(1, "test", { end: true, padding: 6 }));
  }),
);

const headers = section(
  "generic",
  "3.2",
  answered("a HEADERS frame is accepted", get),
  answered("a padded HEADERS frame is accepted", (c) => c.send(f.headers(1, blockOf(c), { end: true, padding: 8 }))),
  answered("a HEADERS frame with a priority is accepted", (c) =>
    c.send(f.headers(1, blockOf(c), { end: true, priority: root })),
  ),
);

const prioritized = (says: string, stream: number, it: f.Priority) =>
  answered(says, (c) => {
    c.send(f.priority(stream, it));
    get(c);
  });

const priority = section(
  "generic",
  "3.3",
  prioritized("PRIORITY with weight 1 is accepted", 1, { dependsOn: 0, weight: 0 }),
  prioritized("PRIORITY with weight 256 is accepted", 1, root),
  prioritized("PRIORITY with a dependency is accepted", 3, { dependsOn: 1, weight: 0 }),
  prioritized("an exclusive PRIORITY is accepted", 1, { dependsOn: 0, exclusive: true, weight: 0 }),
  prioritized("PRIORITY on an idle stream leaves lower streams usable", 3, root),
);

const others = [
  ...section("generic", "3.4", {
    says: "RST_STREAM is accepted",
    run: (c) => {
      c.send(f.headers(1, blockOf(c)))
        .send(f.reset(1, Code.CANCEL))
        .send(f.ping());
      return accept.pingAcked(c, "12345678");
    },
  }),
  ...section("generic", "3.5", {
    says: "SETTINGS with every known value are acknowledged",
    run: (c) => {
      c.send(
        f.settings(
          [Setting.HEADER_TABLE_SIZE, 4096],
          [Setting.ENABLE_PUSH, 1],
          [Setting.MAX_CONCURRENT_STREAMS, 100],
          [Setting.INITIAL_WINDOW_SIZE, 65_535],
          [Setting.MAX_FRAME_SIZE, 16_384],
          [Setting.MAX_HEADER_LIST_SIZE, 100],
        ),
      );
      return accept.settingsAcked(c);
    },
  }),
  ...section("generic", "3.7", {
    says: "PING comes back with its payload",
    run: (c) => {
      c.send(f.ping("sluice\0\0"));
      return accept.pingAcked(c, "sluice\0\0");
    },
  }),
  ...section("generic", "3.8", {
    says: "GOAWAY is accepted",
    run: (c) => {
      c.send(f.goaway(0, Code.NO_ERROR, "bye")).send(f.ping());
      return accept.pingAckedOrEnd(c, "12345678");
    },
  }),
  ...section(
    "generic",
    "3.9",
    {
      says: "WINDOW_UPDATE of the connection is accepted",
      run: (c) => {
        c.send(f.windowUpdate(0, 1)).send(f.ping());
        return accept.pingAcked(c, "12345678");
      },
    },
    answered("WINDOW_UPDATE of a stream is accepted", (c) => {
      get(c);
      c.send(f.windowUpdate(1, 1));
    }),
  ),
  ...section(
    "generic",
    "3.10",
    answered("a CONTINUATION frame is accepted", (c) => {
      const block = blockOf(c);
      c.send(f.headers(1, block.subarray(0, 5), { end: true, endHeaders: false }));
      c.send(f.continuation(1, block.subarray(5)));
    }),
    answered("several CONTINUATION frames are accepted", (c) => {
      const block = blockOf(c);
      c.send(f.headers(1, block.subarray(0, 5), { end: true, endHeaders: false }));
      c.send(f.continuation(1, block.subarray(5, 10), false)).send(f.continuation(1, block.subarray(10)));
    }),
  ),
  ...section(
    "generic",
    "4",
    answered("GET is answered", get),
    answered("HEAD is answered", (c) => c.send(f.headers(1, blockOf(c, "HEAD"), { end: true }))),
    answered("POST is answered", (c) => {
      post(c);
      c.send(f.data(1, "test", { end: true }));
    }),
    answered("POST with trailers is answered", (c) => {
      post(c, ["trailer", "x-test"]);
      c.send(f.data(1, "test")).send(f.headers(1, c.indexedBlock(["x-test", "ok"]), { end: true }));
    }),
  ),
];

/** An ordinary block with representations before or behind it. */
const represented = (says: string, around: { before?: Buffer; behind?: Buffer }) =>
  answered(says, (c) => {
    const parts = [around.before ?? Buffer.alloc(0), blockOf(c), around.behind ?? Buffer.alloc(0)];
    c.send(f.headers(1, Buffer.concat(parts), { end: true }));
  });

const literals = (how: string, pattern: number) =>
  [false, true].flatMap((huffman) =>
    (["user-agent", "x-test"] as const).map((name) =>
      represented(`a literal ${how}, ${name}${huffman ? " in Huffman's code" : ""}, is accepted`, {
        behind: literal(name, "sluice", pattern, huffman),
      }),
    ),
  );

const hpack = section(
  "generic",
  "5",
  represented("an indexed field is accepted", { behind: indexed(58) }),
  ...literals("with indexing", 0x40),
  ...literals("without indexing", 0x00),
  ...literals("never indexed", 0x10),
  represented("a change of the table's size is accepted", { before: tableSize(0) }),
  represented("two changes of the table's size are accepted", {
    before: Buffer.concat([tableSize(0), tableSize(4096)]),
  }),
);

export const genericCases: Case[] = [...start, ...streams, ...data, ...headers, ...priority, ...others, ...hpack];
