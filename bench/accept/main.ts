/**
 * `npm run accept [-- NAME …]`: the acceptance lines about milliseconds, percentiles, CPU and memory, which have no place in the test
 * suite. Gateway on one core, the rest on the other, interleaved rounds, medians. Exit code 1 when a line does not hold.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { endWithParent, stopAllChildren } from "../children.js";
import { PEERS } from "../peers/all.js";
import type { Peer } from "../peers/peer.js";
import { sluice } from "../peers/sluice.js";
import { commitOf, machineText, projectRoot } from "../results.js";
import { removeScratch } from "../stage.js";
import type { ClaimGroup, Verdict } from "./claim.js";
import { deadlineClaims } from "./deadlines.js";
import { gateClaims } from "./gate.js";
import { hostileClaims } from "./hostile.js";
import { passwordClaims } from "./passwords.js";
import { ratioClaims } from "./ratios.js";
import { redisTroubleClaims } from "./redis-trouble.js";
import { seeingClaims } from "./seeing.js";
import { slowReaderClaims } from "./slow-reader.js";
import { TARGET_GROUPS } from "./targets.js";
import { tlsClaims, tlsFigures } from "./tls.js";
import { replaceClaims } from "./tls-replace.js";
import { workerDeathClaims } from "./worker-death.js";

const ACCEPTANCE: readonly ClaimGroup[] = [
  ratioClaims,
  hostileClaims,
  slowReaderClaims,
  workerDeathClaims,
  gateClaims,
  redisTroubleClaims,
  ...tlsClaims,
  replaceClaims,
  passwordClaims,
  deadlineClaims,
  seeingClaims,
];
const GROUPS = [...ACCEPTANCE, ...TARGET_GROUPS, tlsFigures];
const namesOf = (groups: readonly ClaimGroup[]): string[] => groups.flatMap((group) => group.names);
const [ACCEPTANCE_NAMES, TARGET_NAMES] = [namesOf(ACCEPTANCE), namesOf(TARGET_GROUPS)];
/** For the log: nothing is claimed. */
const FIGURE_NAMES = tlsFigures.names;
const USAGE = `usage: npm run accept -- [NAME …] [--rounds N] [--log]
  targets          every target: stricter, and not part of acceptance
  --through NAME   judge another proxy instead of Sluice, for comparison
  --log            append the outcome to bench/LOG.md
names:   ${ACCEPTANCE_NAMES.join(", ")}
targets: ${TARGET_NAMES.join(", ")}
figures: ${FIGURE_NAMES.join(", ")}`;

interface Wish {
  readonly names: readonly string[];
  readonly rounds: number;
  readonly log: boolean;
  readonly subject: Peer;
}

const readWish = (args: readonly string[]): Wish | null => {
  const names: string[] = [];
  let rounds = 5;
  let log = false;
  let subject: Peer | undefined = sluice(projectRoot);
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === "--log") log = true;
    else if (word === "--rounds" && Number.isInteger(Number(args[i + 1])) && Number(args[i + 1]) > 0)
      rounds = Number(args[++i]);
    else if (word === "--through") subject = PEERS.find((peer) => peer.name === args[i + 1] && i++ >= 0);
    else if (word === "targets") names.push(...TARGET_NAMES);
    else if ([ACCEPTANCE_NAMES, TARGET_NAMES, FIGURE_NAMES].some((some) => some.includes(word))) names.push(word);
    else return null;
  }
  return subject === undefined ? null : { names: names.length === 0 ? ACCEPTANCE_NAMES : names, rounds, log, subject };
};

const line = (verdict: Verdict): string =>
  `${verdict.holds ? "holds " : "FAILS "} ${verdict.name}: ${verdict.claim}\n         ${verdict.measured}`;

const logText = (verdicts: readonly Verdict[], rounds: number): string => {
  const rows = verdicts.map(
    (verdict) =>
      `| ${verdict.name} | ${verdict.claim} | ${verdict.measured} | ${verdict.holds ? "holds" : "**fails**"} |`,
  );
  const head = `\n## ${new Date().toISOString().slice(0, 16)} acceptance lines, commit ${commitOf(projectRoot)}, ${rounds} rounds\n${machineText()}\n\n`;
  return `${head}| line | claim | measured | |\n|---|---|---|---|\n${rows.join("\n")}\n`;
};

const main = async (): Promise<number> => {
  const wish = readWish(process.argv.slice(2));
  if (wish === null) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  endWithParent(removeScratch);
  const progress = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  };
  const verdicts: Verdict[] = [];
  for (const group of GROUPS) {
    const wanted = group.names.filter((name) => wish.names.includes(name));
    if (wanted.length === 0) continue;
    for (const verdict of await group.run(wanted, { subject: wish.subject, rounds: wish.rounds, progress })) {
      verdicts.push(verdict);
      if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
      process.stdout.write(`${line(verdict)}\n`);
    }
  }
  if (wish.log) appendFileSync(join(projectRoot, "bench", "LOG.md"), logText(verdicts, wish.rounds));
  return verdicts.every((verdict) => verdict.holds) ? 0 : 1;
};

main()
  .then(async (code) => {
    await stopAllChildren();
    process.exit(code);
  })
  .catch(async (error: unknown) => {
    await stopAllChildren();
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  });
