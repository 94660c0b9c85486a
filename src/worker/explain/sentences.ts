// What a plan and what is forwarded under it say, as sentences. Must not know: how they came about.
// Runs: per explanation.

import type { Question, Step } from "../../shared/explanation.js";
import type { WorkerConfig } from "../../shared/messages.js";
import type { MessageLimit } from "../call/message-screen.js";
import type { Plan, Prepared } from "../call/plan.js";
import type { Rules } from "../call/planner.js";
import type { Change } from "../transform/route-changes.js";
import { withoutQuery } from "./secrets.js";

export function routeSteps(question: Question, plan: Plan, parts: { rules: Rules; config: WorkerConfig }): Step[] {
  const { port, authority, path } = question;
  const { rules, config } = parts;
  const steps: Step[] = [];
  const served = config.ports.find((each) => each.port === port);
  const speaks = served?.protocol === "https" ? "HTTP/2 over TLS" : "HTTP/2 in the clear (h2c)";
  const protocol = served === undefined ? "is not served" : `is served as ${served.protocol}, ${speaks}`;
  steps.push({ what: "port", says: `${port} ${protocol}` });
  if (plan.health !== null || plan.control) {
    steps.push({ what: "route", says: "none: the path belongs to the gateway itself" });
    return steps;
  }
  const found = rules.routes.found(port, authority, path);
  if (found === null) {
    steps.push({ what: "route", says: "no definition has a listen path for it here" });
    return steps;
  }
  if (found.route === null) {
    const of = config.closed.find((each) => each.port === port && each.listen_path === found.listenPath);
    const name = of === undefined ? "a definition" : of.api;
    const says = `${found.listenPath} belongs to ${name}, which was left out: the path stays closed, and lint says why`;
    steps.push({ what: "route", says });
    return steps;
  }
  const { definition } = found.route;
  const domain = definition.domain === "" ? "" : ` of ${definition.domain}`;
  const name = definition.name === "" ? "" : ` ${JSON.stringify(definition.name)}`;
  steps.push({ what: "definition", says: `${definition.api_id}${name} in ${definition.file}` });
  steps.push({ what: "route", says: `listen path ${found.listenPath}${domain}` });
  if (found.runsOn)
    steps.push({
      what: "route",
      says: "the path goes on behind it without a slash, which enable_strict_routes forbids",
    });
  if (rules.allowed[found.route.id] !== null)
    steps.push({
      what: "certificate",
      says: "use_mutual_tls_auth: the caller needs an allowed certificate; here none is shown",
    });
  return steps;
}

export function changeSteps(plan: Plan, prepared: Prepared): Step[] {
  const steps: Step[] = [];
  const { strip, rewritten } = prepared;
  const gone = [
    ...strip.headers.map((name) => `header ${name}`),
    ...strip.params.map((name) => `parameter ${name}`),
    ...strip.cookies.map((name) => `cookie ${name}`),
  ];
  if (gone.length > 0) steps.push({ what: "strip", says: `${gone.join(", ")}: not passed on (strip_auth_data)` });
  if (rewritten !== undefined) steps.push({ what: "rewrite", says: `to ${withoutQuery(rewritten)}` });
  else if (plan.gate?.rewritesPaths === true) steps.push({ what: "rewrite", says: "no entry of url_rewrites fits" });
  const change = plan.rules.changes[plan.route!.id]?.changeFor(plan.method, plan.path);
  steps.push(...changed("request", change?.request ?? null), ...changed("response", change?.response ?? null));
  return steps;
}

/** Values as the operator wrote them, not as they come out; of fields for credentials not even that. */
function changed(direction: "request" | "response", change: Change | null): Step[] {
  if (change === null) return [];
  const set = new Set(change.set.map(({ name }) => name));
  const removed = [...change.drop].filter((name) => !set.has(name));
  const steps: Step[] = [];
  if (removed.length > 0) steps.push({ what: direction, says: `loses ${removed.join(", ")}` });
  for (const { name, written } of change.set)
    steps.push({ what: direction, says: `gets ${name}: ${isSecret(name) ? "(hidden)" : written}` });
  return steps;
}

function isSecret(name: string): boolean {
  return /authori[sz]ation|cookie|token|secret|password|api-?key/.test(name);
}

/** What holds while the call runs; said also where nothing does, for nobody should have to guess that. */
export function callRuleSteps({ rule, grpc }: Plan, question: Question): Step[] {
  const own = question.headers.find(([name]) => name === "grpc-timeout")?.[1];
  const steps: Step[] = [{ what: "time", says: timeText(rule?.boundMs ?? 0, own) }];
  if (rule === null) return [...steps, UNLIMITED];
  const { breaker, retry, request, response } = rule;
  if (breaker !== null) {
    const { path, threshold, samples } = breaker.entry;
    const state = breaker.isOpen ? "open" : "closed";
    const says = `of ${JSON.stringify(path)} is ${state} in this worker; it opens when ${threshold * 100} % of at least ${samples} calls fail`;
    steps.push({ what: "breaker", says });
  }
  if (retry !== null && grpc) steps.push({ what: "retry", says: `up to ${retry.maxAttempts} attempts` });
  for (const limit of [request, response]) if (limit !== null) steps.push({ what: "messages", says: limitText(limit) });
  if (request === null && response === null) steps.push(UNLIMITED);
  return steps;
}

const UNLIMITED: Step = { what: "messages", says: "no limit of size or number (sluice.message_limits)" };

function timeText(boundMs: number, own: string | undefined): string {
  const bound =
    boundMs > 0 ? `at most ${boundMs} ms (hard_timeouts, global_enforce_timeout)` : "no bound of the gateway";
  const caller = own === undefined ? "the caller sets none" : `the caller's grpc-timeout is ${own}`;
  return `${bound}; ${caller}${boundMs > 0 && own !== undefined ? ", and the shorter one counts" : ""}`;
}

function limitText({ direction, bytes, count }: MessageLimit): string {
  const size = Number.isFinite(bytes) ? ` of at most ${bytes} octets each` : "";
  const many = Number.isFinite(count) ? ` at most ${count}` : "";
  return `of the ${direction}:${many} messages${size}`;
}
