/**
 * A model that no isolate holds, over stages of one machine: tokens a second at 1, 4 and 16 streams, at ways of several lengths between the stages, one pass
 * at a time and as many as stages; answers while each stage is ended in mid-stream; and, from what was measured, the full 7B over a fleet.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareModel } from "../../../infra/local/models/prepare-model.ts";
import { locateModel } from "../../../infra/local/models/source.ts";
import { cacheDirectory } from "../../../infra/local/paths.ts";
import { isolateLimits, sizesOf } from "../../../infra/local/stages/sizes.ts";
import { writeRepeatedModel } from "../../support/repeated-model.ts";
import { ChatStream } from "../fair/chat-stream.ts";
import { SeriesCollector, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { sevenB, simulateFleet, type Measured } from "./fleet.ts";
import { answerText } from "./answer.ts";
import { isolateMemory, startStagedStack, type StagedStack, type StagedStackOptions } from "../../support/staged-stack.ts";
import { whenEnded } from "../ending.ts";
import { refusalOfWhole } from "./whole-model.ts";

/** The built-in model's layers so many times over: a quarter of a gigabyte. */
const times = 3;
const streamCounts = [1, 4, 16] as const;
const hopMilliseconds = [0, 5, 20] as const;
/** Full windows for as many streams as isolates hold, and many short texts. */
const fleetLoads = [
  { streams: 1, tokens: 4096 },
  { streams: 4, tokens: 4096 },
  { streams: 16, tokens: 4096 },
  { streams: 64, tokens: 512 },
] as const;
const fleetHopSeconds = [0.0005, 0.002, 0.01] as const;
const topic = "a lighthouse";
const tokens = 48;
/** Of each stream while all of them answer. */
const fewestTokens = 8;
const endedTokens = 24;
/** Passes of a stage in the midst of the answers of 1, 4 and 16 streams, asked one count after another. */
const endsAfter = [12, 70, 160] as const;

const notes = [
  "All stages and the gateway share one thread of one workerd process, so stages never compute at the same time here: what several passes at once gain is the time of ways between Workers alone. On a fleet they compute at once too, which the simulation reckons with.",
  "The model is the built-in one with its layers three times over; what it says makes no sense. Whether its answers are right is the tests' affair: here the answer of a stack whose stage has ended is held to that of one in which none has.",
  `Tokens a second: of all streams together, ${String(tokens)} tokens each, from the last one's first token to the first one's end. They begin with one prompt, whose state is kept.`,
  "The modelled figure is that of `fleet.ts` on one thread: what passes compute, one after another, or what a pass and its ways take, whichever is more.",
  "The 7B is simulated (`fleet.ts`): its plan is the planner's, with weights of 4.5 bits and room for all streams' states, keys and values in int8. Seconds a weight and what tokens that share a pass take are those of this machine's best round, one thread an isolate; every isolate computes for itself. Assumed is the way between two Workers. Decode alone: prompts, loads and cold starts are left out.",
  "Prices are Cloudflare's list prices of Durable Objects: US$ 0.15 a million requests, US$ 12.50 a million gigabyte-seconds, 128 MB an isolate, all of which are busy as long as one answer runs.",
];

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const collector = new SeriesCollector();
  const before = process.env.SPIKINGBRAIN_MODEL;
  const path = join(cacheDirectory(), `repeated-${String(times)}.gguf`);
  if (!existsSync(path)) writeRepeatedModel((await locateModel()).path, path, times);
  process.env.SPIKINGBRAIN_MODEL = path;
  try {
    const model = await prepareModel();
    const stages = (model.stages?.length ?? 1) - 1;
    if (stages < 2) throw new Error(`the model must be too large for one isolate; its plan has ${String(stages)} stages`);
    const refusal = refusalOfWhole(path);
    const { sizeOf } = await sizesOf(path, 1);
    const weightBytes = (model.stages ?? []).reduce((sum, cut) => sum + sizeOf(cut).weights, 0);
    progress(`${model.id}: ${String(Math.round(model.bytes / 2 ** 20))} MiB in ${String(stages)} stages beside the engine that leads`);
    for (let round = 0; round < rounds; round += 1) {
      for (const stepsAtOnce of [1, stages]) {
        for (const hop of hopMilliseconds) {
          progress(`round ${String(round + 1)}: ways of ${String(hop)} ms, ${String(stepsAtOnce)} passes at once`);
          await withStack({ stepsAtOnce, hopMilliseconds: hop }, async ({ url }) => {
            await chat(url, model.id, topic, 4).whole();
            for (const count of streamCounts) {
              const rate = await decode(url, model.id, count);
              progress(`${String(count)} streams: ${rate.toFixed(1)} tokens/s`);
              collector.add(setting(count, hop), "decode", "tokens/s", passes(stepsAtOnce), rate);
            }
          });
        }
      }
    }
    await endings(model.id, stages, collector, progress);
    const measured = calibration(collector, parametersOf(weightBytes), stages);
    model7(measured, collector);
    modelled(measured, stages, parametersOf(weightBytes), collector);
    return {
      settings: {
        rounds,
        stages,
        "isolates' memory, MiB": isolateLimits.memoryBytes >> 20,
        runtime: isolateMemory.MINIFLARE_WORKERD_V8_FLAGS,
        "model, bytes": model.bytes,
        "one isolate of the whole model": refusal,
        tokens,
      },
      notes,
      series: collector.all(),
      comparisons: [],
      floors: [
        {
          name: "answers of stacks whose stage ends that are those of one in which none does, of all",
          required: 1,
          measured: Math.min(...collector.all().flatMap(({ setting: where, values }) => (where === ending ? values : []))),
        },
      ],
    };
  } finally {
    if (before === undefined) delete process.env.SPIKINGBRAIN_MODEL;
    else process.env.SPIKINGBRAIN_MODEL = before;
    await prepareModel();
  }
}

const setting = (streams: number, hop: number): string => `${String(streams)} streams, ways of ${String(hop)} ms more`;
const passes = (count: number): string => (count === 1 ? "one pass at a time" : "a pass for each stage");
const ending = "a stage ends in mid-stream";
/** Weights of 4 bits with a scale and a minimum of 16 bits for 32. */
const parametersOf = (bytes: number): number => (bytes * 8) / 5;

function chat(url: string, model: string, topic: string, maxTokens: number): ChatStream {
  return new ChatStream({ url, model, key: "sk-bench-stages", maxTokens, topic });
}

/** Tokens a second of so many streams together, while all of them answer: the prompt is one that has been read before. */
async function decode(url: string, model: string, count: number): Promise<number> {
  const streams = Array.from({ length: count }, () => chat(url, model, topic, tokens));
  await Promise.all(streams.map((stream) => stream.whole()));
  const from = Math.max(...streams.map(({ arrivals }) => arrivals[0] ?? NaN));
  const to = Math.min(...streams.map(({ arrivals }) => arrivals.at(-1) ?? NaN));
  const arrived = streams.reduce((sum, stream) => sum + stream.tokensBetween(from, to), 0);
  if (!(arrived >= count * fewestTokens)) throw new Error(`${String(count)} streams answered together for ${String(arrived)} tokens alone`);
  return (1000 * arrived) / (to - from);
}

/** The same questions to a stack of which no stage ends, and to one of each stage that does, once while 1, 4 and 16 streams run. */
async function endings(model: string, stages: number, collector: SeriesCollector, progress: (message: string) => void): Promise<void> {
  const ask = async (url: string, count: number): Promise<string[]> =>
    await Promise.all(Array.from({ length: count }, (_, at) => answerText(url, model, `Name ${String(at)} ships.`, endedTokens)));
  const options = { stepsAtOnce: stages, hopMilliseconds: 0 };
  const undisturbed = await withStack(options, async ({ url }) => await ask(url, Math.max(...streamCounts)));
  for (let stage = 1; stage <= stages; stage += 1) {
    progress(`stage ${String(stage)} ends in mid-stream`);
    await withStack({ ...options, ends: { stage, afterPasses: endsAfter } }, async (stack) => {
      for (const [at, count] of streamCounts.entries()) {
        const answers = await ask(stack.url, count);
        if (stack.stagesLost().length !== at + 1)
          throw new Error(
            `stage ${String(stage)} was to end once at ${String(count)} streams; ${String(stack.stagesLost().length)} ends in all`,
          );
        const right = answers.filter((answer, index) => answer === undisturbed[index]).length;
        collector.add(ending, "right answers", "of all", `${String(count)} streams, each stage once`, right / count);
      }
    });
  }
}

async function withStack<T>(options: StagedStackOptions, use: (stack: StagedStack) => Promise<T>): Promise<T> {
  const persistTo = mkdtempSync(join(tmpdir(), "spikingbrain-stages-"));
  const stack = await startStagedStack({ ...options, persistTo });
  const end = async (): Promise<void> => {
    await stack.stop();
    rmSync(persistTo, { recursive: true, force: true });
  };
  const forget = whenEnded(end);
  try {
    return await use(stack);
  } finally {
    forget();
    await end();
  }
}

/** Seconds of a weight and of a way, from one stream and from many, one pass at a time. */
function calibration(collector: SeriesCollector, weights: number, stages: number): Measured {
  // What else the machine does only takes away.
  const rate = (streams: number, hop: number): number =>
    Math.max(...(collector.find(setting(streams, hop), "decode", passes(1))?.values ?? []));
  const pass = (streams: number, hop: number): number => streams / rate(streams, hop);
  const [near, , far] = hopMilliseconds;
  const added = (far - near) / 1000;
  // What a longer way adds to a pass says how much of it is ways.
  const hopsFelt = (pass(1, far) - pass(1, near)) / added;
  const compute = pass(1, near);
  const passCosts = streamCounts.map((streams) => [streams, pass(streams, near) / compute] as const);
  collector.add("calibration", "ways that a token goes", "ways", passes(1), hopsFelt);
  collector.add("calibration", "stages", "ways", "the plan", stages);
  collector.add("calibration", "weights", "G weights/s", passes(1), weights / compute / 1e9);
  return { weightsPerSecond: weights / compute, passCosts, hopSeconds: 0 };
}

/** What the model of `fleet.ts` says of this machine, beside what was measured: one thread for all stages. */
function modelled(measured: Measured, stages: number, weights: number, collector: SeriesCollector): void {
  const costOf = (tokensOfPass: number): number => {
    const [low, , high] = measured.passCosts;
    if (low === undefined || high === undefined) return 1;
    const [middle = low] = measured.passCosts.filter(([count]) => count <= tokensOfPass).slice(-1);
    const [next = high] = measured.passCosts.filter(([count]) => count >= tokensOfPass);
    if (middle[0] === next[0]) return middle[1];
    return middle[1] + ((next[1] - middle[1]) * (tokensOfPass - middle[0])) / (next[0] - middle[0]);
  };
  const compute = weights / measured.weightsPerSecond;
  for (const hop of hopMilliseconds) {
    for (const streams of streamCounts) {
      for (const stepsAtOnce of [1, stages]) {
        const atOnce = Math.min(stepsAtOnce, streams);
        const pass = compute * costOf(streams / atOnce);
        const cycle = Math.max(atOnce * pass, pass + (stages * hop) / 1000);
        collector.add(setting(streams, hop), "decode", "tokens/s", `${passes(stepsAtOnce)}, modelled`, streams / cycle);
      }
    }
  }
}

/** The 7B over a fleet. */
function model7(measured: Measured, collector: SeriesCollector): void {
  const simulated = "simulated";
  for (const load of fleetLoads) {
    for (const hopSeconds of fleetHopSeconds) {
      const fleet = simulateFleet(sevenB, measured, { memoryBytes: isolateLimits.memoryBytes, load, hopSeconds });
      const where = `SpikingBrain-7B over a fleet, ${String(load.streams)} streams of ${String(load.tokens)} tokens`;
      if (hopSeconds === fleetHopSeconds[0]) {
        collector.add(where, "isolates", "isolates", simulated, fleet.isolates);
        collector.add(where, "ways that a token goes", "ways", simulated, fleet.hops);
      }
      const ways = `${where}, ways of ${String(hopSeconds * 1000)} ms`;
      collector.add(ways, "decode", "tokens/s", simulated, fleet.tokensPerSecond);
      collector.add(ways, "cost", "US$ per million tokens", simulated, fleet.dollarsPerMillionTokens);
    }
  }
}

export const stagesSuite: Suite = {
  name: "stages",
  description: "a model that no isolate holds, over stages: tokens a second by streams and ways, stages that end, and the 7B over a fleet",
  defaultRounds: 2,
  run,
};
