/** The acceptance line about memory: a server stream of 1 GiB to a reader that is slow. Must not know how the gateway holds it back. */
import { connect } from "node:net";
import { type Call, type CallEnds, ClientLink } from "../load/client.js";
import { givePath } from "../load/message.js";
import { echoOrder, type LoadOrder } from "../load/order.js";
import { runOwnClient } from "../load/run-client.js";
import { type Contender, placeOnCores } from "../stage.js";
import { median } from "../statistics.js";
import type { ClaimGroup } from "./claim.js";
import { freshRounds } from "./fresh.js";

const MESSAGES = 16_384;
const MESSAGE_BYTES = 65_536;
const BAR_MIB = 32;
const READS_MS = 4;
const RESTS_MS = 8;
const SAMPLE_MS = 50;
const LIMIT_MS = 120_000;
const MIB = 1 << 20;
const NAME = "slow-reader";
const CLAIM = `a 1 GiB stream to a slow reader grows the gateway's RSS by less than ${BAR_MIB} MiB`;

const bigCall = (port: number): LoadOrder =>
  echoOrder(port, {
    kind: "server",
    path: givePath(MESSAGES, MESSAGE_BYTES),
    seconds: 60,
    calls: 1,
    replyBytes: MESSAGE_BYTES,
    messages: MESSAGES,
  });

/** Reads a little, rests longer: the kernel's buffers fill and the gateway has to stop. */
const readSlowly = (port: number): Promise<string | null> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let timer: NodeJS.Timeout;
    const limit = setTimeout(() => finish("not done in time"), LIMIT_MS);
    const finish = (reason: string | null): void => {
      clearTimeout(timer);
      clearTimeout(limit);
      socket.destroy();
      resolve(reason);
    };
    const ends: CallEnds = {
      callEnded: (_link: ClientLink, _call: Call, reason) => finish(reason),
      linkReady: () => {},
      linkEnded: (_link, reason) => finish(reason),
    };
    const rest = (): void => {
      socket.pause();
      timer = setTimeout(read, RESTS_MS);
    };
    const read = (): void => {
      socket.resume();
      timer = setTimeout(rest, READS_MS);
    };
    socket.once("error", (error) => finish(error.message));
    socket.once("connect", () => {
      new ClientLink(socket, bigCall(port), ends).start(performance.now());
      read();
    });
  });

/** MiB grown, or why it could not be found out. */
const growth = async (gateway: Contender): Promise<number | string> => {
  const warm = { ...bigCall(gateway.port), path: givePath(2, MESSAGE_BYTES), messages: 2, seconds: 0.5, calls: 0 };
  await runOwnClient(warm, placeOnCores().load);
  const before = gateway.meter.residentBytes();
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, gateway.meter.residentBytes());
  }, SAMPLE_MS);
  const reason = await readSlowly(gateway.port);
  clearInterval(sampler);
  return reason ?? (most - before) / MIB;
};

export const slowReaderClaims: ClaimGroup = {
  names: [NAME],
  run: (_wanted, plan) =>
    freshRounds<number>(
      {
        name: NAME,
        claim: CLAIM,
        scenario: "bulk-stream",
        measure: growth,
        judge: (grown) => ({
          measured: `${median(grown).toFixed(1)} MiB, at most ${Math.max(...grown).toFixed(1)}`,
          holds: median(grown) < BAR_MIB,
        }),
      },
      plan,
    ),
};
