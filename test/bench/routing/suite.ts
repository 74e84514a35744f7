/** The pool's policy on a recorded load, beside simple ones, and what a plan costs. Simulated time: only the plans' cost depends on the machine. */
import { Health } from "../../../workers/pool/health.ts";
import { plan } from "../../../workers/pool/policy.ts";
import type { Figures } from "../../simulation/figures.ts";
import { routers, type RouterName } from "../../simulation/routers.ts";
import { loadFor, simulate } from "../../simulation/simulation.ts";
import { planRequest, replica, snapshotOf } from "../../workers/support/pool.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type Series, type SuiteResult } from "../report/result.ts";
import { summarize } from "../report/statistics.ts";
import type { Suite, SuiteOptions } from "../suite.ts";

const sizes = [10, 100, 1_000] as const;
const sessions = 100_000;
const policy: RouterName = "the pool's policy";
const simple = (Object.keys(routers) as RouterName[]).filter((name) => name !== policy);
const plans = 2_000;
/** Of the first round. The policy's limits were chosen on seeds 1 to 6, so none of those says how good they are. */
const firstSeed = 101;

const settingOf = (replicas: number): string => `${replicas} replicas, ${sessions.toLocaleString("en")} sessions`;
const costSetting = "the cost of a plan";

/** What is kept of a simulation, each as [figure, unit, value]. */
function kept({ hitRate, queueMilliseconds, firstTokenMilliseconds, imbalance, refusals, afterLoss }: Figures) {
  return [
    ["hits", "% of repeated tokens", 100 * hitRate],
    ["queueing, p99", "ms", queueMilliseconds.p99],
    ["first token, p50", "ms", firstTokenMilliseconds.p50],
    ["first token, p99", "ms", firstTokenMilliseconds.p99],
    ["imbalance", "x the mean", imbalance],
    ["refusals", "requests", refusals],
    ["after the loss: queueing, p99 of a minute", "ms", afterLoss.queueP99Milliseconds],
    ["after the loss: hits of five minutes", "% of repeated tokens", 100 * afterLoss.hitRate],
    ["after the loss: tries at replicas that were gone", "requests", afterLoss.triesAtGone],
  ] as const;
}

const notes = [
  `Time is simulated; each round is another seed, from ${firstSeed} on: the policy's limits were chosen on seeds 1 to 6, and none of them is here. \`test/simulation\` is the simulation, \`test/simulation/distributions.ts\` says which public recordings the load follows.`,
  "A replica computes 8 requests at a time, at 20 tokens a second alone and 17 of each of eight, and lets 24 more wait; a tenth of the replicas are half as fast. Isolates (one for 25 replicas, at least two) plan from snapshots of up to 2 s, which hold reports of up to 2 s before.",
  "hits: of the tokens of prompts that an earlier request had, those whose state was still where the request went. queueing: from asking until computing begins. imbalance: requests at the fullest replica over the mean, the mean of samples.",
  "At 65 % of the run a tenth of the replicas goes; what ran there goes on elsewhere. The simple routers see a replica as gone when its report expires, after 15 s, and try another one where a request fails; the pool's policy has its breakers beside that.",
  "least load: the least by its last report with what the isolate has sent since. consistent hashing: the conversation's home by rendezvous, however loaded.",
];

function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const collector = new SeriesCollector();
  for (let round = 0; round < rounds; round += 1) {
    for (const replicas of sizes) {
      for (const [name, router] of Object.entries(routers)) {
        progress(`round ${round + 1}: ${name}, ${settingOf(replicas)}`);
        const figures = simulate({ ...loadFor(replicas), seed: firstSeed + round, sessions, router });
        for (const [figure, unit, value] of kept(figures)) collector.add(settingOf(replicas), figure, unit, name, value);
      }
    }
    for (const replicas of sizes)
      collector.add(costSetting, "plans a second of one core", "plans/s", `${replicas} replicas`, plansPerSecond(replicas));
  }
  return Promise.resolve({
    settings: { rounds, sessions, "sessions a second and replica": loadFor(1).perSecond },
    notes,
    series: collector.all(),
    comparisons: comparisons(collector),
    floors: floors(collector),
  });
}

/** With three requests of this isolate on their way to every replica. */
function plansPerSecond(replicas: number): number {
  const pool = Array.from({ length: replicas }, (_unused, index) => replica(`replica-${index}`, { load: { running: index % 6 } }));
  const health = new Health(Date.now);
  for (const one of pool) for (let time = 0; time < 3; time++) health.begin(one, null);
  const snapshot = snapshotOf(...pool);
  const planMany = (): void => {
    for (let index = 0; index < plans; index++) plan(planRequest({ affinity: `conversation ${index}` }), snapshot, health, Math.random);
  };
  planMany();
  const begin = process.cpuUsage();
  planMany();
  const { user, system } = process.cpuUsage(begin);
  return plans / ((user + system) / 1e6);
}

function found(collector: SeriesCollector, setting: string, figure: string, program: string): Series {
  const series = collector.find(setting, figure, program);
  if (series === undefined) throw new Error(`${figure} of ${program} was not measured`);
  return series;
}

function comparisons(collector: SeriesCollector): Comparison[] {
  return sizes.flatMap((replicas) =>
    ["hits", "first token, p99"].flatMap((figure) =>
      simple.map((name) =>
        compare(found(collector, settingOf(replicas), figure, policy), found(collector, settingOf(replicas), figure, name), "ratio"),
      ),
    ),
  );
}

/** Nowhere worse than a simple one in what it is for: as even as least load, and with nearly the hits of hashing. */
function floors(collector: SeriesCollector): Floor[] {
  const median = (setting: string, figure: string, program: string): number =>
    summarize(found(collector, setting, figure, program).values).median;
  const ofSizes = sizes.flatMap((replicas) => {
    const setting = settingOf(replicas);
    const ratio = (figure: string, one: RouterName, other: RouterName): number =>
      median(setting, figure, one) / median(setting, figure, other);
    return [
      { name: `${replicas} replicas: hits over those of least load`, required: 2, measured: ratio("hits", policy, "least load") },
      {
        name: `${replicas} replicas: hits over those of consistent hashing`,
        required: 0.75,
        measured: ratio("hits", policy, "consistent hashing"),
      },
      ...simple.map((name) => ({
        name: `${replicas} replicas: first token, p99, of ${name} over the policy's`,
        required: 1,
        measured: ratio("first token, p99", name, policy),
      })),
    ];
  });
  return [
    ...ofSizes,
    {
      name: "plans a second with 1,000 replicas",
      required: 1_000,
      measured: median(costSetting, "plans a second of one core", "1000 replicas"),
    },
  ];
}

export const routingSuite: Suite = {
  name: "routing",
  description: "the pool's policy on a recorded load beside round robin, least load and consistent hashing",
  defaultRounds: 1,
  run,
};
