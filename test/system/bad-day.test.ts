// Responsible for: the bad days of bad-day.ts in little, so that every run of the suite sees them. The full figures are in
// soak/bad-day.test.ts.

import { describe, test } from "node:test";
import { type Day, reloads, rollingRestarts, serviceFrozen, serviceKilled, servicesRestarted } from "./bad-day.js";

const DAY: Day = { inFlight: 24, clients: 4, reloads: 3, restarts: 2, between: 200 };

describe("under a steady load of unary and streaming calls from clients that come and go", () => {
  test("reloads fail no call", (context) => reloads(context, DAY));
  test("rolling restarts fail no call", (context) => rollingRestarts(context, DAY));
  test("services that are restarted one after the other fail no call", (context) => servicesRestarted(context, DAY));
  test("a service that is killed fails only calls that were with it", (context) => serviceKilled(context, DAY));
  test("a service that is frozen fails only calls that were with it", (context) => serviceFrozen(context, DAY));
});
