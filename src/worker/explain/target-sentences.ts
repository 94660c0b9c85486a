// Where a call would go and how it stands there, as sentences. Must not know: how calls are given to targets.
// Runs: per explanation.

import type { Step } from "../../shared/explanation.js";
import type { Balancer, Place } from "../balance/balancer.js";
import type { Seat } from "../balance/seat.js";
import { ANSWERS, type Answer } from "../call/answers.js";
import type { Plan, Prepared } from "../call/plan.js";
import { withoutQuery } from "./secrets.js";

/** @param live the services were asked: what is known of them is told */
export function targetSteps(plan: Plan, { targets, outgoing }: Prepared, live: boolean): Step[] {
  const steps: Step[] = [];
  for (const place of targets?.places ?? []) {
    const { pool, target, weight } = place;
    const fields = outgoing[target]?.fields ?? [];
    const value = (name: string): string => fields.find((field) => field?.name.text === name)?.value ?? "";
    const path = withoutQuery(value(":path"));
    const share = targets!.places.length > 1 ? `, weight ${weight}` : "";
    const state = live ? stateOf(place, targets!) : "";
    const clear = value(":scheme") === "https" ? "" : " (h2c)";
    const says = `${value(":scheme")}://${pool.host}:${pool.port}${clear} as ${value(":authority")}${path}${share}${state}`;
    steps.push({ what: "target", says });
  }
  const method = plan.route?.definition.targeting?.balance.method;
  if (steps.length > 1) steps.push({ what: "balance", says: method ?? "round_robin" });
  return steps;
}

/** Of a name with several addresses only what all of them have in common. */
function stateOf({ pool, target }: Place, balancer: Balancer): string {
  const seats = balancer.all.filter((seat) => seat.target === target && pool.endpoints.includes(seat.endpoint));
  if (seats.length === 0) return pool.awaited ? ", its name is being looked up" : ", its name has no address";
  const all = (has: (seat: Seat) => boolean): boolean => seats.every(has);
  if (all(({ endpoint }) => endpoint.down)) return ", down by its health check";
  if (all(({ outUntil }) => outUntil > 0)) return ", out because calls to it failed (sluice.ejection)";
  if (all(({ endpoint, outUntil }) => endpoint.down || outUntil > 0)) return ", all of its addresses are down or out";
  return all(({ endpoint }) => !endpoint.hopeful) ? ", cannot be reached at the moment" : "";
}

/** Why none of the targets takes a call, in the worker that was asked: each of them sees its own calls. */
export function withoutTargets(refusal: Answer): string {
  switch (refusal) {
    case ANSWERS.targetsDown:
      return "no target is in: health checks (sluice.health) or failed calls (sluice.ejection) took each of them out";
    case ANSWERS.lookupFailed:
      return "proxy.target_url or target_list: no name in it has an address";
    default:
      return "no target can be connected to at the moment; it is tried again";
  }
}
