/**
 * The acceptance line about deadlines: calls with random deadlines, from a client that keeps none itself, against a service that never
 * answers. Must not know how the gateway keeps time. Governed by issue 6; the allowance for a busy event loop is not used.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { pause } from "../children.js";
import {
  ACK,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  FrameReader,
  HEADERS,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  settingsFrame,
  writeFrameHeader,
} from "../load/frames.js";
import { HeaderDecoder } from "../load/header-decoder.js";
import { SentField } from "../load/header-encoder.js";
import { Attacker, frame } from "./attacks.js";

import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { startSite } from "./gate-site.js";

const NAME = "deadlines";
const CALLS = 10_000;
const CONNECTIONS = 20;
/** Calls before those that count: their code is compiled, their connections stand. */
const WARM_UP = 2_000;
const TICK_MS = 10;
const SHORTEST_MS = 20;
const LONGEST_MS = 3_000;
const BAR_MS = 20;
const LATEST_MS = 10_000;
const DEADLINE_EXCEEDED = "4";
const CANCEL = 8;
const CLAIM = `of ${CALLS} random deadlines 99.9 % are answered within ${BAR_MS} ms and the worker's largest loop delay, none early, none twice, every cancel seen`;

/** What a peer of either side owes: SETTINGS and PING are answered. */
const answer = (socket: Socket, type: number, flags: number, payload: Buffer): void => {
  if ((flags & ACK) !== 0 || (type !== SETTINGS && type !== PING)) return;
  const bytes = Buffer.alloc(FRAME_HEADER + (type === PING ? 8 : 0));
  writeFrameHeader(bytes, 0, bytes.length - FRAME_HEADER, type, ACK, 0);
  if (type === PING) payload.copy(bytes, FRAME_HEADER);
  socket.write(bytes);
};

/** Takes every call and never answers one. */
class SilentService {
  calls = 0;
  cancels = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as { port: number }).port;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.write(settingsFrame([]));
    const reader = new FrameReader((type, flags, _stream, bytes, start, end) => {
      if (type === HEADERS) this.calls++;
      else if (type === RST_STREAM && bytes.readUInt32BE(start) === CANCEL) this.cancels++;
      else answer(socket, type, flags, bytes.subarray(start, end));
    });
    let preface = PREFACE.length;
    socket.on("data", (chunk) => {
      const skip = Math.min(preface, chunk.length);
      preface -= skip;
      reader.push(chunk.subarray(skip));
    });
  }
}

interface Found {
  /** How late each answer came, ms. */
  readonly late: number[];
  early: number;
  twice: number;
  wrong: number;
}

/** One connection of callers that wait without a timer of their own. */
class Callers {
  waiting = 0;
  readonly #attacker: Attacker;
  readonly #socket: Socket;
  readonly #sent = new Map<number, number>();
  readonly #answered = new Set<number>();
  readonly #uncounted = new Set<number>();
  readonly #found: Found;

  constructor(port: number, found: Found) {
    this.#found = found;
    this.#attacker = new Attacker(port);
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.write(Buffer.concat([Buffer.from(PREFACE, "latin1"), settingsFrame([])]));
    const decoder = new HeaderDecoder();
    const reader = new FrameReader((type, flags, stream, bytes, start, end) => {
      if (type === HEADERS) {
        const fields = decoder.decode(bytes, start, end);
        this.#told(stream, fields.find((field) => field.name === "grpc-status")?.value ?? "none");
      } else if (type === RST_STREAM) this.#told(stream, "reset");
      else answer(this.#socket, type, flags, bytes.subarray(start, end));
    });
    this.#socket.on("data", (chunk) => reader.push(chunk));
  }

  call(counts: boolean): void {
    const ms = SHORTEST_MS + Math.floor(Math.random() * (LONGEST_MS - SHORTEST_MS));
    const fields = [
      new SentField(":method", "POST"),
      new SentField(":scheme", "http"),
      new SentField(":path", "/bench.Silent/Call"),
      new SentField(":authority", `127.0.0.1:${this.#attacker.port}`),
      new SentField("content-type", "application/grpc"),
      new SentField("te", "trailers"),
      new SentField("grpc-timeout", `${ms}m`),
    ];
    const block = Buffer.alloc(1024);
    const length = this.#attacker.encoder.encode(fields, block, 0);
    const stream = this.#attacker.nextStream();
    this.waiting++;
    if (!counts) this.#uncounted.add(stream);
    this.#sent.set(stream, performance.now() + ms);
    this.#socket.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, block.subarray(0, length)));
  }

  stop(): void {
    this.#socket.destroy();
  }

  #told(stream: number, status: string): void {
    const due = this.#sent.get(stream);
    if (this.#answered.has(stream) || due === undefined) {
      this.#found.twice++;
      return;
    }
    this.#answered.add(stream);
    this.waiting--;
    const late = performance.now() - due;
    if (late < 0) this.#found.early++;
    if (status !== DEADLINE_EXCEEDED) this.#found.wrong++;
    if (!this.#uncounted.has(stream)) this.#found.late.push(late);
  }
}

const oneRound = async (): Promise<Verdict> => {
  const service = new SilentService();
  const site = await startSite("deadlines", await service.listen(), null);
  const lag = monitorEventLoopDelay({ resolution: 2 });
  lag.enable();
  const found: Found = { late: [], early: 0, twice: 0, wrong: 0 };
  const callers = Array.from({ length: CONNECTIONS }, () => new Callers(site.port, found));
  for (let begun = 0; begun < WARM_UP + CALLS; begun += CONNECTIONS) {
    for (const each of callers) each.call(begun >= WARM_UP);
    await pause(TICK_MS);
  }
  const waiting = (): number => callers.reduce((sum, each) => sum + each.waiting, 0);
  const limit = performance.now() + LONGEST_MS + LATEST_MS;
  while ((waiting() > 0 || service.cancels < service.calls) && performance.now() < limit) await pause(TICK_MS);
  // What would come a second time has a moment to.
  await pause(BAR_MS * 10);
  for (const each of callers) each.stop();
  service.stop();
  lag.disable();
  await site.child.stop();
  const delay = Number(
    /"ms":(\d+),"msg":"the most by which a deadline was kept late"/.exec(site.child.output())?.[1] ?? 0,
  );
  const late = found.late.sort((a, b) => a - b);
  const at = (share: number): number => late[Math.min(late.length - 1, Math.floor(late.length * share))] ?? Number.NaN;
  const { early, twice, wrong } = found;
  const missing = CALLS - late.length;
  const own = (lag.max / 1e6).toFixed(0);
  return {
    name: NAME,
    claim: CLAIM,
    measured: `median ${at(0.5).toFixed(1)} ms, 99.9 % ${at(0.999).toFixed(1)} ms, at most ${at(1).toFixed(1)} ms late; ${early} early, ${twice} twice, ${wrong} otherwise, ${missing} never; ${service.cancels} cancels of the ${service.calls} that reached the service; the worker was late by up to ${delay} ms, this client by ${own}`,
    holds: at(0.999) <= BAR_MS + delay && early + twice + wrong + missing === 0 && service.cancels === service.calls,
  };
};

export const deadlineClaims: ClaimGroup = {
  names: [NAME],
  run: async (_wanted: readonly string[], plan: AcceptPlan): Promise<Verdict[]> => {
    plan.progress(`${NAME}: ${CALLS} calls`);
    try {
      return [await oneRound()];
    } catch (error) {
      return [failedVerdict(NAME, CLAIM, error instanceof Error ? error.message : String(error))];
    }
  },
};
