// `sluice explain`: what would become of a call under what the files and the store say, whether a gateway runs or not.
// Responsible for one worker process that serves nothing and answers one question. Must not know: how it finds out.
// A running gateway knows more (breakers, health of targets): POST /tyk/debug/explain. Runs: once, from the command line.

import cluster from "node:cluster";
import type { Explanation, Question } from "../shared/explanation.js";
import type { WorkerConfig } from "../shared/messages.js";
import { healthOf } from "./health.js";
import type { LoadedSet } from "./loaded-set.js";
import { WorkerProcess } from "./worker-process.js";

/** Nobody resumes a session with a worker that nobody can connect to. */
const NO_TICKETS = { generation: 0, current: new Uint8Array(48), previous: null };
const STDERR = 2;

/** Rejects with the sentence that says why nothing could be found out. */
export function explainOnce(set: LoadedSet, question: Question, workerFile: string): Promise<Explanation> {
  // What the worker has to say of itself must not stand among the steps.
  cluster.setupPrimary({
    exec: workerFile,
    args: [],
    serialization: "advanced",
    stdio: ["ignore", STDERR, STDERR, "ipc"],
  });
  const { policies = [], settings, ...served } = set.served;
  const config: WorkerConfig = {
    ...served,
    // That a service of another route does not answer is no part of the answer.
    settings: { ...settings, log_level: "error" },
    policies,
    generation: 1,
    controlSocket: "",
    explainsOnly: true,
  };
  const health = healthOf({ version: "", leftOut: set.leftOut, notReady: "" }, new Date());
  return new Promise((resolve, reject) => {
    const worker = new WorkerProcess(config, health, () => NO_TICKETS, {
      greeted: () => undefined,
      relieved: () => undefined,
      targets: () => undefined,
      figures: () => undefined,
      refused: (it, problem) => {
        reject(new Error(problem));
        it.kill();
      },
      ended: (_, how) => reject(new Error(`the worker ended (${how}); its own lines say why`)),
      ready: (it) => {
        void it.explain(question).then((explanation) => {
          if (explanation === undefined) reject(new Error("the worker could not say"));
          else resolve(explanation);
          it.drain(0);
        });
      },
    });
    void worker;
  });
}
