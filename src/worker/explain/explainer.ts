// What would become of a call, step by step: made with the very route table, planner, gate and lists that decide about
// real calls, on a connection that nobody is at the other end of. Nothing is sent and no unit of a limit is taken.
// Responsible for the order of steps and their sentences. Must not know: who asks. Runs: per request of an operator.

import type { Explanation, Outcome, Question, Step } from "../../shared/explanation.js";
import { Connection, type ConnectionEvents, type EngineShared } from "../../shared/http2/connection.js";
import { checkRequest, headerFaults } from "../../shared/http2/header-rules.js";
import { FieldStore } from "../../shared/http2/hpack/field.js";
import { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { EngineLimits } from "../../shared/http2/limits.js";
import type { WorkerConfig } from "../../shared/messages.js";
import type { Decision } from "../admit/decision.js";
import { verdictOf } from "../admit/limit-verdict.js";
import type { VerdictRow } from "../admit/verdicts.js";
import { ANSWERS, type Answer } from "../call/answers.js";
import { callerTimeout } from "../call/departure.js";
import { preparedFor } from "../call/forwarding.js";
import { textOfField } from "../call/list-text.js";
import type { Plan } from "../call/plan.js";
import { makePlan, type Rules } from "../call/planner.js";
import type { Gatehouse } from "../gatehouse.js";
import { deciderOf } from "./decider.js";
import { Secrets } from "./secrets.js";
import { callRuleSteps, changeSteps, routeSteps } from "./sentences.js";
import { targetSteps, withoutTargets } from "./target-sentences.js";
import { Tracing } from "./tracing.js";

export interface ExplainerParts {
  readonly rules: Rules;
  readonly config: WorkerConfig;
  readonly engine: EngineShared;
  readonly limits: EngineLimits;
  readonly gatehouse: Gatehouse | null;
}

const FORWARDED: Outcome = { forwarded: true, grpc: 0, http: 0, message: "", counted: "" };

export async function explain(question: Question, parts: ExplainerParts): Promise<Explanation> {
  // Fields of its own: what an operator tries must not push out what callers send.
  const fields = new FieldStore({ entries: 256, credentials: 4_096 });
  const c = new Connection(true, parts.limits, { ...parts.engine, fields }, NOBODY);
  const list = listOf(question, fields);
  const fault = checkRequest(list);
  if (fault !== 0) {
    const row = headerFaults[fault];
    const says = `breaks RFC 9113 ${row?.section ?? ""}: ${row?.sentence ?? ""}`;
    const message = "the stream is reset with PROTOCOL_ERROR";
    return { steps: [{ what: "request", says }], outcome: { ...FORWARDED, forwarded: false, grpc: 13, message } };
  }
  const { rules, config } = parts;
  const secure = config.ports.some(({ port, protocol }) => port === question.port && protocol === "https");
  const plan = makePlan(list, c, { port: question.port, address: question.peer, secure, peer: null }, rules);
  const secrets = new Secrets(question, plan.gate, fields);
  const steps: Step[] = routeSteps(question, plan, parts);
  const outcome = plan.route === null ? localOutcome(plan) : await course(plan, list, { ...parts, question }, steps);
  return {
    steps: steps.map(({ what, says }) => ({ what, says: secrets.hide(says) })),
    outcome: { ...outcome, message: secrets.hide(outcome.message) },
  };
}

type Parts = ExplainerParts & { readonly question: Question };

/** What happens to a call that has a route. */
async function course(plan: Plan, list: FieldList, parts: Parts, steps: Step[]): Promise<Outcome> {
  if (plan.timed && callerTimeout(plan, plan.volatileOf(list)) < 0) {
    steps.push({
      what: "time",
      says: "the caller's grpc-timeout cannot be read: up to eight digits and one of H M S m u n",
    });
    return answered(ANSWERS.badTimeout);
  }
  let decision: Decision | null = null;
  if (plan.gate === null) steps.push({ what: "gate", says: "nothing to decide: no key, list, limit or rewrite" });
  else {
    const gatehouse = parts.gatehouse!;
    const tracing = new Tracing((session, api) => gatehouse.limitsOf(session, api));
    decision = await gatehouse.gate.explain(
      {
        api: plan.gate,
        method: plan.method,
        path: plan.path,
        peer: plan.origin.address,
        certificate: null,
        get: (name) => textOfField(list, name),
      },
      tracing,
    );
    const admitted = decision.verdict === 0 && decision.ruling.reply === undefined;
    const used = admitted
      ? await tracing.tellLimits((key, quota) => gatehouse.counter(key, quota), Date.now())
      : undefined;
    steps.push(...tracing.steps);
    const verdict = used === undefined ? decision.verdict : verdictOf(used);
    if (verdict !== 0) {
      const { definition } = plan.route!;
      const refusal = { verdict, definition, gate: plan.gate, method: plan.method, path: bare(plan.path) };
      steps.push({ what: "decides", says: deciderOf({ ...refusal, key: decision.session }) });
      return refusedBy(gatehouse.gate.verdicts[verdict]!);
    }
    if (decision.ruling.reply !== undefined) {
      steps.push({ what: "answer", says: `the gateway answers by itself, with HTTP ${decision.ruling.reply.code}` });
      return {
        ...FORWARDED,
        forwarded: false,
        http: decision.ruling.reply.code,
        message: "answered by the definition",
      };
    }
  }
  const prepared = preparedFor(plan, decision === null ? null : decision.ruling);
  steps.push(...changeSteps(plan, prepared));
  steps.push(...callRuleSteps(plan, parts.question));
  const live = parts.config.explainsOnly !== true;
  const refusal = live && prepared.targets !== null ? prepared.targets.refusal() : null;
  steps.push(...targetSteps(plan, prepared, live));
  if (plan.rule?.breaker?.isOpen === true) return answered(ANSWERS.circuitOpen);
  if (prepared.targets === null) return answered(ANSWERS.noTargetPath);
  if (refusal === null) return FORWARDED;
  steps.push({ what: "decides", says: withoutTargets(refusal) });
  return answered(refusal);
}

function bare(path: string): string {
  return path.split("?", 1)[0]!;
}

function refusedBy({ grpc, http, message, counted }: VerdictRow): Outcome {
  return { forwarded: false, grpc, http, message, counted };
}

function localOutcome({ answer, health, control }: Plan): Outcome {
  if (answer !== null) return answered(answer);
  const what = control ? "the control API answers" : `the gateway answers ${health}`;
  return { ...FORWARDED, forwarded: false, http: 200, message: what };
}

function answered({ grpc, http, message, id }: Answer): Outcome {
  return { forwarded: false, grpc, http, message, counted: id };
}

/** A gRPC request unless the question says otherwise. */
function listOf({ method, authority, path, headers }: Question, fields: FieldStore): FieldList {
  const list = new FieldList();
  const has = (name: string): boolean => headers.some(([each]) => each === name);
  list.push(fields.field(":method", method));
  list.push(fields.field(":scheme", "http"));
  if (authority !== "") list.push(fields.field(":authority", authority));
  list.push(fields.field(":path", path));
  if (!has("content-type")) list.push(fields.field("content-type", "application/grpc"));
  if (!has("te")) list.push(fields.field("te", "trailers"));
  for (const [name, value] of headers) list.push(fields.field(name, value));
  return list;
}

const nothing = (): void => undefined;
const NOBODY: ConnectionEvents = {
  headers: nothing,
  trailers: nothing,
  data: nothing,
  closed: nothing,
  settings: nothing,
  goaway: nothing,
  pong: nothing,
  wake: nothing,
  failed: nothing,
};
