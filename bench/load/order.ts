/** What the load client is told to do: travels as JSON on its stdin. Must not know proxies or scenarios' names. */
import { ECHO_PATH } from "./message.js";

export interface LoadOrder {
  readonly port: number;
  readonly tls: boolean;
  readonly kind: "unary" | "server" | "client" | "bidi";
  readonly path: string;
  readonly connections: number;
  /** Calls at the same time on each connection. */
  readonly streams: number;
  readonly seconds: number;
  /** Stop after so many calls; 0 = when the time is over. */
  readonly calls: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
  readonly messages: number;
  readonly varying: boolean;
  /** Calls per second over all connections, on a fixed schedule; 0 = the next call starts when one ends. */
  readonly rate: number;
  /** Open loop: what never started when the time is over counts with the time it had waited; otherwise it starts late, or has failed. */
  readonly tolerant: boolean;
  /** Bulk streams on connections of their own, unmeasured, beside the measured calls. */
  readonly beside: number;
  /** Connections that each carry one call and come again, unmeasured, beside the measured calls. */
  readonly storm: number;
  /** Later TLS connections resume the session of earlier ones; one that does not is a failure. */
  readonly resume: boolean;
  readonly reconnect: boolean;
  /** Each call carries one of so many keys (token.ts); absent or 0 = none. */
  readonly keys?: number;
  /** The number before the first call's: processes that share a load do not take the same turns. */
  readonly firstSerial?: number;
  /** Values of `authorization` that the calls take in turns; absent = no such field. */
  readonly authorizations?: readonly string[];
}

/** Small calls that the service sends back, one at a time on one connection, until told otherwise. */
export const echoOrder = (port: number, change: Partial<LoadOrder> = {}): LoadOrder => ({
  port,
  tls: false,
  kind: "unary",
  path: ECHO_PATH,
  connections: 1,
  streams: 1,
  seconds: 2,
  calls: 0,
  requestBytes: 12,
  replyBytes: 12,
  messages: 1,
  varying: false,
  rate: 0,
  tolerant: false,
  beside: 0,
  storm: 0,
  resume: false,
  reconnect: false,
  ...change,
});

/** A whole number in equal parts, the remainder one by one to the first. */
const share = (whole: number, parts: number, part: number): number =>
  Math.floor(whole / parts) + (part < whole % parts ? 1 : 0);

/** Far enough apart that no run of one process reaches the numbers of the next. */
const SERIALS_APART = 1 << 27;

/**
 * One order for several processes: connections, calls and what runs beside are divided, the rate goes by connections. Never more processes
 * than connections, for each must have one; and a number of calls to each where a number was ordered.
 */
export const splitOrder = (order: LoadOrder, processes: number): LoadOrder[] => {
  const most = order.calls > 0 ? Math.min(order.connections, order.calls) : order.connections;
  const parts = Math.max(1, Math.min(processes, most));
  return Array.from({ length: parts }, (_, part): LoadOrder => {
    const connections = share(order.connections, parts, part);
    return {
      ...order,
      connections,
      calls: share(order.calls, parts, part),
      rate: (order.rate * connections) / order.connections,
      beside: share(order.beside, parts, part),
      storm: share(order.storm, parts, part),
      firstSerial: (order.firstSerial ?? 0) + part * SERIALS_APART,
    };
  });
};
