/** A thousand streams over replicas in trouble (`test/workers/pool/chaos.test.ts`): how many were whole and equal, and how long they took. */
import { capture } from "../../../infra/local/run.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { quietWrangler } from "../../../infra/local/stack.ts";
import { SeriesCollector, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";

const streams = 1_000;
const firstSeed = 14;
const test = "test/workers/pool/chaos.test.ts";
const mostMilliseconds = 1_800_000;

/** What the test prints once all of its streams were whole and equal. */
interface Facts {
  readonly streams: number;
  readonly atOnce: number;
  readonly replicas: number;
  readonly troubles: number;
  readonly refusedOrLost: number;
  readonly retried: number;
  readonly movedInMidStream: number;
  readonly atEngine: number;
  /** Of each stream, ascending. */
  readonly milliseconds: readonly number[];
}

const notes = [
  "Every stream is compared, event by event, with the same answer of the undisturbed engine: text, log-probabilities, usage, one end. The run fails at the first that differs, so that a record says that none did.",
  "Replicas are scripted, with the toy for a model, behind the real gateway, session and pool Workers in workerd; a hung one is given up after 0.3 s without a token (0.5 s before the first).",
  "Troubles: connections refused, 429, 500, 503, redirects, no stream, no answer; cuts, hangs, lines that are no event, ends without a finish, ids outside the vocabulary, errors in the stream; replicas that are killed and come back, and slow ones.",
];

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const collector = new SeriesCollector();
  let equal = 0;
  const settings: Record<string, number> = { rounds, streams };
  for (let round = 0; round < rounds; round += 1) {
    const seed = firstSeed + round;
    progress(`round ${String(round + 1)}: ${String(streams)} streams, seed ${String(seed)}`);
    const facts = await chaos(seed);
    equal += facts.streams;
    Object.assign(settings, { "at once": facts.atOnce, replicas: facts.replicas });
    const add = (figure: string, unit: string, value: number) => {
      collector.add(`${String(streams)} streams`, figure, unit, "pool", value);
    };
    add("whole and equal to the undisturbed one", "streams", facts.streams);
    add("troubles that struck", "requests", facts.troubles);
    add("requests that a backend did not take", "requests", facts.refusedOrLost);
    add("went on elsewhere in mid-stream", "attempts", facts.movedInMidStream);
    add("attempts at the engine", "attempts", facts.atEngine);
    for (const share of [0.5, 0.99]) {
      const value = facts.milliseconds[Math.floor(share * (facts.milliseconds.length - 1))] ?? 0;
      add(`whole answer, p${String(100 * share)}`, "ms", value);
    }
  }
  const floors = [{ name: "streams whole and equal, of all", required: 1, measured: equal / (rounds * streams) }];
  return { settings, notes, series: collector.all(), comparisons: [], floors };
}

async function chaos(seed: number): Promise<Facts> {
  const vitest = [inRepository("node_modules/vitest/vitest.mjs"), "run", "--project", "workerd", test];
  const environment = { ...quietWrangler, CHAOS_STREAMS: String(streams), CHAOS_SEED: String(seed) };
  const { status, output } = await capture(process.execPath, vitest, { env: environment, timeout: mostMilliseconds });
  const line = /chaos: (\{.*\})/.exec(output)?.[1];
  if (status !== 0 || line === undefined) throw new Error(`${test} failed with seed ${String(seed)}:\n${output.slice(-4_000)}`);
  return JSON.parse(line) as Facts;
}

export const chaosSuite: Suite = {
  name: "chaos",
  description: "1,000 streams over replicas that are killed, hang, lie and are cut off, beside the undisturbed ones",
  defaultRounds: 1,
  run,
};
