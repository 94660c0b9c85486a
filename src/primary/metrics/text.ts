// Figures as Prometheus reads them. Responsible for families and their order of values; the writing itself is
// prom-client's. Must not know: workers, HTTP. Governed by the text exposition format 0.0.4. Runs: per scrape.

import { type Metric, Registry } from "prom-client";
import { grpcStatusName } from "../../shared/grpc/status.js";
import { BOUNDS_MS, type EndFigures, Row, type Sample } from "../../shared/observe/figures.js";
import { CATALOGUE } from "./catalogue.js";
import type { MethodTotals } from "./totals.js";

export const CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly values: readonly Value[];
}

export interface Shown {
  readonly methods: readonly MethodTotals[];
  /** Calls under way. */
  readonly open: readonly Value[];
  readonly ends: readonly EndFigures[];
  readonly samples: readonly Sample[];
}

export function metricsText(shown: Shown): Promise<string> {
  const registry = new Registry();
  for (const family of [...callFamilies(shown), ...otherFamilies(shown.samples)])
    registry.registerMetric({ ...family, get: () => family } as unknown as Metric);
  return registry.metrics();
}

function callFamilies({ methods, open, ends }: Shown): Family[] {
  const column = (name: string, help: string, at: number): Family => ({
    name,
    help,
    type: "counter",
    values: methods.map((each) => ({ value: each.row[at]!, labels: labelsOf(each) })),
  });
  return [
    { name: "sluice_calls_total", help: "Ended calls", type: "counter", values: methods.flatMap(statuses) },
    {
      name: "sluice_call_duration_seconds",
      help: "From a request's arrival to the end of its response, to the millisecond",
      type: "histogram",
      values: methods.flatMap(durations),
    },
    { name: "sluice_calls_open", help: "Calls under way", type: "gauge", values: open },
    column("sluice_request_bytes_total", "Octets of requests, without headers", Row.REQUEST_BYTES),
    column("sluice_response_bytes_total", "Octets of responses, without headers", Row.RESPONSE_BYTES),
    column("sluice_request_messages_total", "gRPC messages of requests", Row.REQUEST_MESSAGES),
    column("sluice_response_messages_total", "gRPC messages of responses", Row.RESPONSE_MESSAGES),
    column("sluice_retries_total", "Attempts after the first", Row.RETRIES),
    column("sluice_moves_total", "Calls moved unseen because a service had not processed them", Row.MOVES),
    {
      name: "sluice_calls_ended_total",
      help: "Calls that something else than the service's own response ended, by whom and why",
      type: "counter",
      values: ends.map(({ api, by, reason, count }) => ({ value: count, labels: { api, by, reason } })),
    },
  ];
}

function labelsOf({ api, service, method }: MethodTotals): Record<string, string> {
  return { api, service, method };
}

function statuses(each: MethodTotals): Value[] {
  const values: Value[] = [];
  for (let status = 0; status < Row.DURATION; status += 1) {
    const value = each.row[Row.STATUS + status]!;
    if (value > 0) values.push({ value, labels: { ...labelsOf(each), grpc_status: grpcStatusName(status) } });
  }
  return values;
}

function durations(each: MethodTotals): Value[] {
  const labels = labelsOf(each);
  const values: Value[] = [];
  let below = 0;
  for (let at = 0; at <= BOUNDS_MS.length; at += 1) {
    below += each.row[Row.DURATION + at]!;
    const le = at < BOUNDS_MS.length ? BOUNDS_MS[at]! / 1_000 : "+Inf";
    values.push({ value: below, labels: { ...labels, le }, metricName: "sluice_call_duration_seconds_bucket" });
  }
  const sum = each.row[Row.DURATION_MS]! / 1_000;
  values.push({ value: sum, labels, metricName: "sluice_call_duration_seconds_sum" });
  values.push({ value: below, labels, metricName: "sluice_call_duration_seconds_count" });
  return values;
}

function otherFamilies(samples: readonly Sample[]): Family[] {
  const byName = new Map<string, Value[]>();
  for (const { name, labels, value } of samples) {
    const values = byName.get(name) ?? [];
    values.push({ value, labels });
    byName.set(name, values);
  }
  return Object.entries(CATALOGUE).flatMap(([name, { help, joining }]) => {
    const values = byName.get(name);
    return values === undefined ? [] : [{ name, help, type: joining === "counter" ? "counter" : "gauge", values }];
  });
}
