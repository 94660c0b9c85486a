/**
 * Attackers as a process: `attack-process.js NAME PORT SECONDS`. A connection that is ended is opened again after a pause, as real
 * attackers do. Prints what became of the connections, as JSON. Must not know what is measured meanwhile.
 */
import { connect, type Socket } from "node:net";
import { FrameReader, GOAWAY } from "../load/frames.js";
import { ATTACKS, Attacker } from "./attacks.js";

const [name = "", port = "0", seconds = "1"] = process.argv.slice(2);
const attack = ATTACKS.find((one) => one.name === name);
const CONNECTIONS = 2;
const TICK_MS = 5;
const PAUSE_MS = 50;
const OUTPUT_LIMIT = 1 << 20;

export interface AttackReport {
  opened: number;
  ended: number;
  /** GOAWAY code → how often. */
  codes: Record<string, number>;
}

const report: AttackReport = { opened: 0, ended: 0, codes: {} };
const sockets = new Set<Socket>();
let over = false;

const countGoaway = (type: number, _flags: number, _stream: number, bytes: Buffer, start: number): void => {
  if (type !== GOAWAY) return;
  const reason = String(bytes.readUInt32BE(start + 4));
  report.codes[reason] = (report.codes[reason] ?? 0) + 1;
};

const open = (): void => {
  if (over || attack === undefined) return;
  const attacker = new Attacker(Number(port));
  const socket = connect(Number(port), "127.0.0.1");
  const reader = new FrameReader(countGoaway);
  sockets.add(socket);
  report.opened++;
  let ticker: NodeJS.Timeout | undefined;
  socket.once("connect", () => {
    socket.write(Buffer.concat(attack.begin(attacker)));
    ticker = setInterval(() => {
      if (socket.writableLength < OUTPUT_LIMIT && socket.writable) socket.write(Buffer.concat(attack.tick(attacker)));
    }, TICK_MS);
  });
  socket.on("data", (chunk: Buffer) => reader.push(chunk));
  socket.on("error", () => {});
  socket.once("close", () => {
    clearInterval(ticker);
    sockets.delete(socket);
    if (over) return;
    report.ended++;
    setTimeout(open, PAUSE_MS);
  });
};

const finish = (): void => {
  over = true;
  for (const socket of sockets) socket.destroy();
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
};

if (attack === undefined) {
  process.stderr.write(`no attack "${name}"; known: ${ATTACKS.map((one) => one.name).join(", ")}\n`);
  process.exit(2);
}
for (let i = 0; i < CONNECTIONS; i++) open();
setTimeout(finish, Number(seconds) * 1000);
