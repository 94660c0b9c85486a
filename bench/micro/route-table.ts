/**
 * What does finding the route of a new path cost, with few and with many definitions? Against a list, longest listen path first.
 * Run: node <built>/bench/micro/route-table.js
 */
import { bench, do_not_optimize, group, run } from "mitata";
import { type Api, tableOf } from "../../test/route/fixture.js";

const apis = (count: number): Api[] => [
  { path: "/" },
  ...Array.from({ length: count - 1 }, (_, i) => ({ path: `/company.area${i % 10}.Service${i}/` })),
];

for (const count of [1, 10, 1_000]) {
  group(`definitions: ${count}`, () => {
    const table = tableOf(apis(count));
    const longestFirst = apis(count).sort((a, b) => b.path.length - a.path.length);
    const paths = Array.from({ length: 16 }, (_, i) => {
      const service = (i * 61) % count;
      return `/company.area${service % 10}.Service${service}/Method`;
    });
    let i = 0;
    bench("table", () => do_not_optimize(table.match(8080, "localhost:8080", paths[i++ & 15]!)));
    let j = 0;
    bench("plain twin", () => {
      const path = paths[j++ & 15]!;
      do_not_optimize(longestFirst.find((api) => path.startsWith(api.path)));
    });
  });
}

await run();
