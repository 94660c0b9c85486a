// The plans of one connection that may be used again, most recent first. A caller rarely mixes more than a few kinds of
// requests on a connection; the last one found is tried first.

import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { Plan } from "./plan.js";
import type { Rules } from "./planner.js";

const MAX_PLANS = 32;
const LARGEST_LIST = 4_096;

export class PlanCache {
  private readonly plans: Plan[] = [];

  find(list: FieldList, rules: Rules): Plan | null {
    const plans = this.plans;
    for (let i = 0; i < plans.length; i++) {
      const plan = plans[i]!;
      if (plan.rules !== rules || !plan.fits(list)) continue;
      if (i > 0) {
        plans.splice(i, 1);
        plans.unshift(plan);
      }
      return plan;
    }
    return null;
  }

  remember(plan: Plan): void {
    let size = 0;
    for (const field of plan.fields) size += field === null ? 0 : field.size;
    // What lies idle must not keep much: large lists are decided anew.
    if (size > LARGEST_LIST) return;
    if (this.plans.length > 0 && this.plans[0]!.rules !== plan.rules) this.plans.length = 0;
    this.plans.unshift(plan);
    if (this.plans.length > MAX_PLANS) this.plans.pop();
  }
}
