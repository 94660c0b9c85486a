// Responsible for: the bad days of system/bad-day.ts at full size: 200 calls in flight. Run by `npm run test:soak`.

import { describe, test } from "node:test";
import {
  type Day,
  reloads,
  rollingRestarts,
  serviceFrozen,
  serviceKilled,
  servicesRestarted,
} from "../system/bad-day.js";

const DAY: Day = { inFlight: 200, clients: 20, reloads: 20, restarts: 5, between: 2_000 };

describe("under a steady load of 200 calls from clients that come and go", () => {
  test("20 reloads fail no call", (context) => reloads(context, DAY));
  test("5 rolling restarts fail no call", (context) => rollingRestarts(context, DAY));
  test("a rolling restart of the services fails no call", (context) => servicesRestarted(context, DAY));
  test("a service that is killed fails only calls that were with it", (context) => serviceKilled(context, DAY));
  test("a service that is frozen fails only calls that were with it", (context) => serviceFrozen(context, DAY));
});
