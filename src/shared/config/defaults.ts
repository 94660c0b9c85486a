// Every default of the settings, in one place, with its unit and its reason.
// Must not know: files, the environment, who uses a value. Durations are seconds, as in Tyk's files.

import { DOWNSTREAM_LIMITS, type EngineLimits, UPSTREAM_LIMITS } from "../http2/limits.js";

export const DEFAULTS = {
  listenPort: 8080,
  appPath: "apps/",
  healthName: "hello",
  readinessName: "ready",
  /** Tyk's http.Server limits when 0; here they bound a header block and a write without progress, never a call. */
  readTimeout: 120,
  writeTimeout: 120,
  /** Tyk's dial timeout when 0. */
  connectTimeout: 30,
  shutdownTimeout: 30,
  /** A full handshake holds the loop for about a millisecond: bench/LOG.md, handshake storm. */
  handshakesPerTurn: 2,
  /** Beyond this a caller would wait for its turn longer than it is willing to. */
  maxHandshakes: 4_096,
  /** As Go's server and Tyk's transport. */
  handshakeTimeout: 10,
  /** A ticket is good for two of these: the key before the current one is accepted. */
  ticketLifetime: 43_200,
  /** Share of connections.max_age: those that came together go within a fifth of it. */
  connectionAgeJitter: 0.1,
  /** Two looks in a row are needed: a burst of a few seconds moves nobody. */
  rebalanceInterval: 5,
  /** Tyk's, and enough for whoever renews by hand. */
  expiryWarningDays: 30,
  expiryCheck: 3_600,
  expiryReminder: 86_400,
  /** Per worker: everything queued for slow receivers. Half of a small container's memory with two workers. */
  maxBufferedBytes: 256 * 1024 * 1024,
  /** A busy service has some dozens; each costs about forty numbers per worker and as many lines of text. */
  methodsPerApi: 200,
  /** About 2 MB of text a second; a line costs some microseconds. */
  logLinesPerSecond: 5_000,
  traces: {
    /** Where collectors listen for OTLP over HTTP. */
    endpoint: "http://localhost:4318",
    /** Seconds until a batch counts as lost. */
    timeout: 5,
    resource: "sluice",
    /** Tyk's. */
    rate: 0.5,
    /** A span costs some tens of microseconds: at this rate a few percent of a core. */
    maxPerSecond: 1_000,
  },
  upstream: {
    minConnections: 1,
    /** Few, because calls of many callers share one write: engine.md, idea 3. */
    maxConnections: 4,
    /** A connection that carries calls and reads nothing for so long is asked by PING … */
    keepaliveTime: 60,
    /** … and cut when so long brings no answer. */
    keepaliveTimeout: 20,
    /** One hour: balancing behind a virtual address spreads again without visible cost. */
    maxAge: 3600,
    /** Share of max_age by which a connection's age varies, so that they do not all go at once. */
    maxAgeJitter: 0.2,
    /** Closed after so long without a call, down to min_connections. */
    idleTimeout: 300,
    replayBytesPerCall: 64 * 1024,
    replayBytesPerWorker: 8 * 1024 * 1024,
    backoffInitial: 0.1,
    backoffMax: 10,
    backoffJitter: 0.2,
    /** Names are asked again this often; an address that is gone gets no new calls. */
    resolveInterval: 30,
    /** Calls that wait for a free stream of one target; one more is UNAVAILABLE. */
    maxWaitingCalls: 10_000,
    /** Half of what the strictest services bear: Netty's 200 in 30 s; nghttp2's 1,000 and 33 a second. */
    cancelBudget: 100,
  },
} as const;

export const ENGINE_DEFAULTS: { readonly downstream: EngineLimits; readonly upstream: EngineLimits } = {
  downstream: DOWNSTREAM_LIMITS,
  upstream: UPSTREAM_LIMITS,
};
