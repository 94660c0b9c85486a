/**
 * The scenarios as data: each asks one question. Must not know how they are driven. Read once.
 * Sizes are whole gRPC messages in bytes, the five bytes of prefix included.
 */
import { availableParallelism } from "node:os";
import { benchSession } from "./keys.js";
import { keyToken } from "./load/token.js";

export interface Scenario {
  readonly name: string;
  readonly question: string;
  readonly quick: boolean;
  /** What the CPU time is divided by. */
  readonly unit: "call" | "message" | "MB" | "connection";
  /** `h2load` where installed, for its small appetite; `own` where calls differ, stream or must be timed. */
  readonly client: "h2load" | "own";
  readonly service: "nghttpd" | "echo";
  readonly kind: "unary" | "server" | "client" | "bidi";
  /** For each worker. */
  readonly connections: number;
  readonly streams: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
  /** Messages per call, for the streaming kinds. */
  readonly messages: number;
  /** A `grpc-timeout` and a `traceparent` of its own on every call. */
  readonly varying: boolean;
  /** API keys in the store, one of them on every call, and the gate fully on; 0 = keyless. */
  readonly keys: number;
  /** Where the keys and their counters are. */
  readonly store: "embedded" | "redis";
  /** Open loop: the share of what the dearest proxy can carry, or `most` = all that the load side can drive; 0 = closed loop. */
  readonly rateShare: number | "most";
  /** Bulk streams running beside the measured small calls. */
  readonly beside: number;
  /** Connections that only stay open, for memory. */
  readonly idle: number;
  /** Callers that do nothing but come and go, beside the measured calls. */
  readonly storm: number;
  /** With `reconnect` and TLS: later connections resume the session of earlier ones. */
  readonly resume: boolean;
  /** Every connection carries one call and is closed: the cost is per connection. */
  readonly reconnect: boolean;
  readonly tls: "none" | "front" | "both";
  /** Gateway workers; the scenario is left out on machines with fewer cores. */
  readonly workers: number;
  readonly definitions: number;
  /** HTTP/1.1 requests to the control port instead of calls. */
  readonly control: ControlRequest | null;
  /** Only Sluice takes part: the question is about itself. */
  readonly alone: boolean;
  /** … beside itself without what the question is about, in the same rounds: the ratio is the answer. */
  readonly against: Plain | null;
  /** Takes so long to set up that it runs only when it is named. */
  readonly named: boolean;
}

export interface ControlRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: object;
}

/** What makes the plain Sluice plain. */
export type Plain = Partial<Pick<Scenario, "workers" | "definitions" | "keys">>;

const unary: Scenario = {
  name: "",
  question: "",
  quick: false,
  unit: "call",
  client: "h2load",
  service: "nghttpd",
  kind: "unary",
  connections: 10,
  streams: 100,
  requestBytes: 12,
  replyBytes: 12,
  messages: 1,
  varying: false,
  rateShare: 0,
  beside: 0,
  keys: 0,
  store: "embedded",
  idle: 0,
  storm: 0,
  resume: false,
  reconnect: false,
  tls: "none",
  workers: 1,
  definitions: 1,
  control: null,
  alone: false,
  against: null,
  named: false,
};
const own: Scenario = { ...unary, client: "own", service: "echo" };

const coming: Scenario = { ...own, connections: 50, streams: 1, reconnect: true, unit: "connection" };

/** As many as leave one core to the load; two where that would be one, and then everything shares the cores. */
const WORKERS = [...new Set([2, Math.max(2, availableParallelism() - 1)])];

const thousands = (count: number): string => count.toLocaleString("en-US");

const gated = (keys: number, store: Scenario["store"], named: boolean): Scenario => ({
  ...own,
  name: `gate${store === "redis" ? "-redis" : ""}-${keys}`,
  keys,
  store,
  named,
  alone: true,
  against: { keys: 0 },
  question: `What does the whole gate cost (key, rights, rate, quota) with ${thousands(keys)} key${keys === 1 ? "" : "s"}, ${store === "redis" ? "in Redis" : "embedded"}?`,
});

/** The control port with a store that holds one key. */
const control = (name: string, question: string, request: ControlRequest, connections = 10): Scenario => ({
  ...own,
  name,
  question: `What does ${question} cost (control port, HTTP/1.1, autocannon)?`,
  connections,
  streams: 1,
  keys: 1,
  control: request,
  alone: true,
});

export const MEGABYTE = 1 << 20;

export const SCENARIOS: readonly Scenario[] = [
  { ...unary, name: "unary-10x100", question: "What does a call cost when connections are busy?", quick: true },
  {
    ...unary,
    name: "unary-50x10",
    connections: 50,
    streams: 10,
    question: "… with more connections and fewer calls on each?",
    quick: true,
  },
  {
    ...unary,
    name: "unary-100x1",
    connections: 100,
    streams: 1,
    question: "… with one call at a time on each of many connections?",
    quick: true,
  },
  {
    ...unary,
    name: "unary-1x1",
    connections: 1,
    streams: 1,
    question: "What does a lonely call cost, with nothing to share?",
    quick: true,
  },
  {
    ...own,
    name: "deadline-10x100",
    varying: true,
    quick: true,
    question: "… when every call has its own grpc-timeout and traceparent, as real clients do?",
  },
  {
    ...unary,
    name: "reply-1mb",
    connections: 4,
    streams: 2,
    replyBytes: MEGABYTE,
    unit: "MB",
    quick: true,
    question: "What does a megabyte of response cost?",
  },
  { ...unary, name: "reply-1kb", replyBytes: 1024, question: "A call with a response of 1 KB?" },
  { ...unary, name: "reply-10kb", replyBytes: 10240, question: "A call with a response of 10 KB?" },
  {
    ...own,
    name: "request-1mb",
    connections: 4,
    streams: 2,
    requestBytes: MEGABYTE,
    unit: "MB",
    kind: "client",
    messages: 1,
    question: "What does a megabyte of request cost?",
  },
  {
    ...own,
    name: "server-stream",
    kind: "server",
    streams: 10,
    messages: 1000,
    replyBytes: 64,
    unit: "message",
    question: "What does a small message of a server stream cost?",
  },
  {
    ...own,
    name: "client-stream",
    kind: "client",
    streams: 10,
    messages: 1000,
    requestBytes: 64,
    unit: "message",
    question: "What does a small message of a client stream cost?",
  },
  {
    ...own,
    name: "bidi-stream",
    kind: "bidi",
    streams: 10,
    messages: 100,
    requestBytes: 64,
    replyBytes: 64,
    unit: "message",
    question: "What does one message and its answer cost in a ping-pong?",
  },
  {
    ...own,
    name: "bulk-stream",
    kind: "server",
    connections: 4,
    streams: 1,
    messages: 256,
    replyBytes: 65536,
    unit: "MB",
    question: "What does a megabyte of a long stream of 64 KB messages cost?",
  },
  {
    ...own,
    name: "mixed",
    connections: 10,
    streams: 1,
    beside: 4,
    question: "How long do small calls wait beside bulk streams on the same worker (p99)?",
  },
  {
    ...own,
    name: "open-60",
    streams: 100,
    rateShare: 0.6,
    question: "How long do calls take at 60 % of what the dearest proxy can carry?",
  },
  {
    ...own,
    name: "open-90",
    streams: 100,
    rateShare: 0.9,
    question: "How long do calls take at 90 % of what the dearest proxy can carry?",
  },
  {
    ...own,
    name: "open-most",
    streams: 100,
    rateShare: "most",
    question: "How long do calls take at the highest rate that the load side can drive?",
  },
  { ...unary, name: "tls-10x100", tls: "front", question: "What does a call cost with TLS in front?" },
  {
    ...unary,
    name: "tls-50x10",
    connections: 50,
    streams: 10,
    tls: "front",
    question: "… with more connections and fewer calls on each?",
  },
  {
    ...unary,
    name: "tls-reply-1mb",
    connections: 4,
    streams: 2,
    replyBytes: MEGABYTE,
    unit: "MB",
    tls: "front",
    question: "What does a megabyte of response cost with TLS in front?",
  },
  {
    ...own,
    name: "tls-bulk-one",
    kind: "server",
    connections: 1,
    streams: 1,
    messages: 256,
    replyBytes: 65536,
    unit: "MB",
    tls: "front",
    question: "What does a megabyte cost when one TLS connection brings all there is?",
  },
  { ...unary, name: "tls-both-10x100", tls: "both", question: "What does a call cost with TLS on both sides?" },
  { ...coming, name: "connect", question: "What does a new connection with one call cost?" },
  {
    ...coming,
    name: "tls-connect",
    tls: "front",
    question: "What does a new connection cost with a full TLS handshake?",
  },
  { ...coming, name: "tls-resume", tls: "front", resume: true, question: "… when its TLS session is resumed?" },
  {
    ...own,
    name: "tls-storm",
    streams: 1,
    tls: "front",
    storm: 20,
    question: "How long do calls on standing connections wait while others keep shaking hands (p99)?",
  },
  {
    ...own,
    name: "idle-10000",
    connections: 1,
    streams: 1,
    idle: 10_000,
    unit: "connection",
    question: "How much memory does an idle connection hold?",
  },
  {
    ...own,
    name: "tls-idle-10000",
    connections: 1,
    streams: 1,
    idle: 10_000,
    unit: "connection",
    tls: "front",
    question: "How much memory does an idle connection hold with TLS?",
  },
  control("hello", "a health check", { method: "GET", path: "/hello" }),
  control("key-get", "showing a key", { method: "GET", path: `/tyk/keys/${keyToken(0)}` }),
  control("key-create", "making a key", { method: "POST", path: "/tyk/keys/create", body: benchSession() }),
  // One at a time: reloads that come together are carried out as one.
  control("reload", "a reload that is waited for", { method: "GET", path: "/tyk/reload?block=true" }, 1),
  ...[1, 10_000].flatMap((keys) => [gated(keys, "embedded", false), gated(keys, "redis", false)]),
  gated(1_000_000, "embedded", true),
  gated(1_000_000, "redis", true),
  {
    ...unary,
    name: "definitions-1000",
    definitions: 1000,
    alone: true,
    against: { definitions: 1 },
    question: "Does a call cost more with 1,000 API definitions loaded?",
  },
  ...WORKERS.map(
    (workers): Scenario => ({
      ...unary,
      name: `workers-${workers}`,
      workers,
      alone: true,
      against: { workers: 1 },
      question: `What does a call cost with ${workers} workers, 10 × 100 each?`,
    }),
  ),
];

/** Of those above: a name that is none of them is a mistake in the bench itself. */
export const scenarioNamed = (name: string): Scenario => {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`no scenario is called ${name}`);
  return found;
};
