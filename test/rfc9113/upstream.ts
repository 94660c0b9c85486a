// Responsible for: upstreams that answer by themselves, for tests that look at the downstream side.
// Must not know: the gateway. How often: tests only.

import { WireServer } from "../support/wire/server.js";

/** Answers each request that has ended with 200 and this body: so late that nothing races the test's own frames. */
export const answering = (body: string | Buffer): Promise<WireServer> =>
  WireServer.listen({
    answer: ({ connection, stream }) => {
      connection.habits.credits = true;
      connection.reply(stream, { body });
    },
  });
