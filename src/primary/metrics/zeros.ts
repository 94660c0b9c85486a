// What is told from the start, as 0: a series that begins with its first increment hides that one from rate().
// Responsible for the labels that any gateway may come to have. Must not know: what is counted, or that a label has been
// seen. Reasons that only some definitions can give (keys, limits, breakers) come with their first count.
// Runs: per configuration.

import type { EndFigures, Figures, Sample } from "../../shared/observe/figures.js";

const UNROUTED = ["no_route", "health", "method", "certificate"];

/** By whom and why the calls of any API may end. */
const ENDS: Readonly<Record<string, readonly string[]>> = {
  service: ["service_reset"],
  network: ["unreachable", "lookup", "refused", "upstream_lost", "upstream_fault"],
  gateway: ["deadline", "deadline_waiting", "targets_down", "queue_full", "overload"],
  caller: ["caller_reset", "caller_gone"],
};

/** All APIs together; those beyond begin with their first count. */
const MOST_ENDS = 20_000;

export function zeros(apis: Iterable<string>): Figures {
  const samples: Sample[] = UNROUTED.map((reason) => zero("sluice_unrouted_requests_total", { reason }));
  samples.push(zero("sluice_log_lines_dropped_total", {}));
  return { methods: [], ends: endsOf(apis), samples };
}

function endsOf(apis: Iterable<string>): EndFigures[] {
  const ends: EndFigures[] = [];
  for (const api of apis) {
    if (ends.length >= MOST_ENDS) break;
    for (const [by, reasons] of Object.entries(ENDS))
      for (const reason of reasons) ends.push({ api, by, reason, count: 0 });
  }
  return ends;
}

function zero(name: string, labels: Sample["labels"]): Sample {
  return { name, labels, value: 0 };
}
