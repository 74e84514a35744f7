/** What the gateway costs: the same requests through it and around it, in one run of one stack, over a counting engine and over the real one. */
import { compare, SeriesCollector, type Comparison, type Series, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { withStack } from "../stack.ts";
import { alternately } from "../alternately.ts";
import { generateLoad } from "./load-generator.ts";
import {
  chatRequest,
  directRequest,
  emptyRequest,
  healthRequest,
  isStream,
  streamedTokens,
  tokenizeRequest,
  type StreamRequest,
} from "./request.ts";
import { processorTime, type ProcessorTime } from "./processor-time.ts";
import { readStreams } from "./stream-client.ts";

/** Requests of one measurement by how many are made at a time: about a second of work each. */
interface Amounts {
  readonly connections: number;
  readonly requests: number;
  readonly countedStreams: number;
  /** Fifty streams of the real engine wait for one another, and on a slow machine longer than the engine lets them: that is not the gateway's cost. */
  readonly realStreams: number | null;
}

const amounts: readonly Amounts[] = [
  { connections: 1, requests: 300, countedStreams: 20, realStreams: 3 },
  { connections: 16, requests: 800, countedStreams: 64, realStreams: 16 },
  { connections: 50, requests: 1000, countedStreams: 100, realStreams: null },
];

/** Reported and not compared: a few requests of one round decide it. */
const slowest = "latency, p99";

const notes = [
  "Everything runs on one machine: the client, wrangler's proxy and workerd share its cores, so absolute figures are those of a development stack. What the gateway costs is the comparison with the request that goes around it in the same Worker, round by round.",
  '"no gateway" is an empty answer of the same Worker; "engine alone" is the engine\'s own stream, passed on as it is.',
  `Processor time is that of the runtime that holds the Workers, and apart from it that of wrangler, which passes requests on and reads the log. What a request costs the Workers over the one around it is the gateway's own cost; a chat's holds ${streamedTokens} tokens.`,
  "The counting engine computes nothing, so its streams come as fast as the runtime carries them, around the gateway in few large chunks: every microsecond of the gateway shows. With the real engine the model's own work is between tokens.",
  "Both sides of a comparison are measured one after the other; which goes first changes every round.",
];

async function run(options: SuiteOptions): Promise<SuiteResult> {
  const collector = new SeriesCollector();
  await withStack("counting", (url) => measureCounting(url, options, collector));
  await withStack("real", (url) => measureReal(url, options, collector));
  return {
    settings: {
      rounds: options.rounds,
      "tokens a stream": streamedTokens,
      connections: amounts.map(({ connections }) => connections).join(", "),
    },
    notes,
    series: collector.all(),
    comparisons: comparisons(collector),
    floors: [],
  };
}

async function measureCounting(url: string, { model, rounds, progress }: SuiteOptions, collector: SeriesCollector): Promise<void> {
  const plain = [emptyRequest, healthRequest, tokenizeRequest(model.id)];
  const streams = [await directRequest(url, model.id), chatRequest(model.id)];
  for (const request of [...plain, ...streams]) await generateLoad(url, request, 16, 160);
  for (let round = 0; round < rounds; round += 1) {
    for (const { connections, requests, countedStreams } of amounts) {
      const setting = settingName("counting", connections);
      progress(`round ${round + 1}: ${setting}`);
      for (const request of alternately([...plain, ...streams], round)) {
        const amount = isStream(request) ? countedStreams : requests;
        const before = processorTime(url);
        const load = await generateLoad(url, request, connections, amount);
        const after = processorTime(url);
        if (before !== undefined && after !== undefined) {
          const each = (part: keyof ProcessorTime): number => (1000 * (after[part] - before[part])) / amount;
          collector.add(setting, "processor time a request, Workers", "ms", request.name, each("workers"));
          collector.add(setting, "processor time a request, wrangler", "ms", request.name, each("wrangler"));
        }
        collector.add(setting, "throughput", "requests/s", request.name, load.requestsPerSecond);
        collector.add(setting, "latency, mean", "ms", request.name, load.latency);
        collector.add(setting, slowest, "ms", request.name, load.slowestLatency);
        if (isStream(request)) await measureStream(url, setting, request, connections, countedStreams, collector);
      }
    }
  }
}

async function measureReal(url: string, { model, rounds, progress }: SuiteOptions, collector: SeriesCollector): Promise<void> {
  const streams = [await directRequest(url, model.id), chatRequest(model.id)];
  for (const request of streams) await readStreams(url, request, 1, 1);
  for (let round = 0; round < rounds; round += 1) {
    for (const { connections, realStreams } of amounts) {
      if (realStreams === null) continue;
      const setting = settingName("real", connections);
      progress(`round ${round + 1}: ${setting}`);
      for (const request of alternately(streams, round)) await measureStream(url, setting, request, connections, realStreams, collector);
    }
  }
}

async function measureStream(
  url: string,
  setting: string,
  request: StreamRequest,
  connections: number,
  amount: number,
  collector: SeriesCollector,
): Promise<void> {
  const times = await readStreams(url, request, connections, amount);
  collector.add(setting, "first token", "ms", request.name, times.firstToken);
  collector.add(setting, "further token", "ms", request.name, times.furtherToken);
  collector.add(setting, "all streams", "tokens/s", request.name, times.tokensPerSecond);
}

const settingName = (engine: string, connections: number): string => `${engine} engine, ${connections} at a time`;

/** Every request through the gateway beside the one around it: what it adds to times, and what it leaves of rates. */
function comparisons(collector: SeriesCollector): Comparison[] {
  const baselineOf = (series: Series): string | undefined =>
    ({ "/health": "no gateway", "/tokenize": "no gateway", "/v1/chat/completions": "engine alone" })[series.program];
  return collector.all().flatMap((series) => {
    const name = baselineOf(series);
    const baseline = name === undefined ? undefined : collector.find(series.setting, series.figure, name);
    if (baseline === undefined || series.figure === slowest) return [];
    return [compare(series, baseline, series.unit === "ms" ? "difference" : "ratio")];
  });
}

export const httpSuite: Suite = {
  name: "http",
  description: "what the gateway adds to latency and takes from throughput",
  defaultRounds: 3,
  run,
};
