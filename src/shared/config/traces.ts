// Tyk's `opentelemetry`: what is supported of it, and ours beside it. Must not know: spans, the collector's protocol.
// Runs: at start and at a reload.

import { z } from "zod";
import { DEFAULTS } from "./defaults.js";
import { flag, oneOf, secondsOrDefault, share, text, textMap, whole } from "./fields.js";

const section = { error: "must be an object" };
const PATH = "/v1/traces";

/** As an operator may write it; undefined for what is no address. */
function urlOf(endpoint: string, secure: boolean): string | undefined {
  const written = endpoint.includes("://") ? endpoint : `${secure ? "https" : "http"}://${endpoint}`;
  if (!URL.canParse(written)) return undefined;
  const url = new URL(written);
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined;
  if (url.pathname === "/") url.pathname = PATH;
  return url.href;
}

export const opentelemetry = z
  .object(
    {
      enabled: flag(),
      /** Spans leave by OTLP over HTTP, as JSON. */
      exporter: oneOf(["", "http", "grpc"], ""),
      /** `host:port` or a URL; without a path `/v1/traces`. */
      endpoint: text(DEFAULTS.traces.endpoint).transform((value) => value || DEFAULTS.traces.endpoint),
      headers: textMap(),
      connection_timeout: secondsOrDefault(60, DEFAULTS.traces.timeout),
      resource_name: text().transform((value) => value || DEFAULTS.traces.resource),
      span_processor_type: oneOf(["", "batch"], ""),
      context_propagation: oneOf(["", "tracecontext"], ""),
      tls: z.object({ enable: flag() }, section).prefault({}),
      sampling: z
        .object(
          {
            type: oneOf(["", "AlwaysOn", "AlwaysOff", "TraceIDRatioBased"], ""),
            rate: share(DEFAULTS.traces.rate),
            /** The caller's word that its call is (not) sampled counts. */
            parent_based: flag(),
          },
          section,
        )
        .prefault({}),
      /** Ours: spans that a worker begins in a second; calls beyond are not traced. */
      max_per_second: whole(1, 1_000_000, DEFAULTS.traces.maxPerSecond),
    },
    section,
  )
  .prefault({})
  .transform((value, context) => {
    if (value.enabled && value.exporter !== "http")
      context.addIssue({ code: "custom", path: ["exporter"], message: 'must be "http": there is no other exporter' });
    const endpoint = urlOf(value.endpoint, value.tls.enable);
    if (endpoint === undefined)
      context.addIssue({ code: "custom", path: ["endpoint"], message: "must be host:port or an http(s) URL" });
    return { ...value, endpoint: endpoint ?? "" };
  });
