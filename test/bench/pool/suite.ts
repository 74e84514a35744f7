/** What the edge costs between a client and replicas, and what becomes of streams when a replica fails, beside two other routers. */
import { alternately } from "../alternately.ts";
import { whenEnded } from "../ending.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type Series, type SuiteResult } from "../report/result.ts";
import { quantile, summarize } from "../report/statistics.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { until } from "../../../workers/waiting/within.ts";
import { computed, resident } from "./memory.ts";
import { alone, chain, edge, floor, hops, portkey, router, startParticipants, startUpstream, type Participant } from "./participants.ts";
import { agentOf } from "../http/connections.ts";
import { load, readStream, type Ending, type StreamEnd } from "./stream-load.ts";
import { takeoverTimes, type Death } from "./takeover.ts";
import { answerTokens, modes, tokensBefore, type Mode } from "./upstream.ts";

/** Streams of one measurement by how many are read at a time. */
const amounts = [
  { connections: 1, streams: 80 },
  { connections: 16, streams: 256 },
  { connections: 64, streams: 384 },
] as const;
/** Of each way to fail, one after another. */
const failingStreams = 10;

/** Before anything is measured: until then runtimes compile what they run. */
const warmStreams = 256;

const others = [portkey, router] as const;
const settingOf = (connections: number): string => `${connections} at a time`;
const failureOf: Readonly<Record<Exclude<Mode, "good">, string>> = {
  refuse: "one of two upstreams is cut before its first byte",
  cut: "one of two upstreams is cut in mid-stream",
  hang: "one of two upstreams hangs in mid-stream",
  end: "one of two upstreams ends its stream without an end of the answer",
};
const afterLoad = "after the load";
const deathToToken = "time from an upstream's death to the first token of another";

const notes = [
  `Two upstreams that compute nothing answer with ${answerTokens} tokens, each in a chunk of its own; all programs stand in front of the same two. Client, upstreams and programs share the cores of one machine, so absolute figures are those of a small one.`,
  "added: what a program takes beyond the upstream alone, of the same round. Latency is that of the whole stream.",
  `"${floor}": a minimal Worker that makes one call to one of 16 objects, which makes one durable write and hands the upstream's stream on unread; under wrangler, as the edge is, whose development proxy both have in front of them. Streams a second of the edge are to be at least two thirds of the floor's where it stands in the way of Portkey's, and what it adds at the 99th percentile at most half of what Portkey's adds, or one and a half times what the floor does. What the edge does beside that by its contract: a call from the gateway to the session service, one from there to the object and one to the pool, which alone has the replicas' keys; a second durable write, of the answer; all tokens read and checked. Before the gateway stand the two Workers by which wrangler serves its static assets; the floor has none.`,
  `"${chain}": for comparison, with no target of its own, the least that the edge's isolation takes: a gateway behind the same two Workers, a session service, one of 16 objects and a pool, each a Worker that calls the next; two durable writes, of what was asked and of what came; the object reads the stream for that, and nobody does anything else with it.`,
  `"${hops}": the same with one durable write, and the stream handed on unread: what the calls from Worker to Worker cost by themselves.`,
  "Computing time of the Workers a stream: of the process that holds them, all threads, without wrangler's own. It has one thread for all Workers, so streams a second are at most what that thread has time for, less its waits for the disk, one at each durable write. Two thirds of the floor's streams a second leave one and a half times the floor's time for each.",
  "From an upstream's death to the first token of another: from the moment at which it cuts or ends its stream, or sends the last token before it halts, until the client has a token which that stream had not sent; the longest of the streams that went on. What it had sent may still be on its way, and does not count.",
  "Memory under wrangler is mostly wrangler's: its own process, its compiler and its proxy's runtime, which a deployment has none of.",
  "The edge renders and tokenizes each chat, asks the upstreams for token ids, keeps each stream in an object so that it can be read again, and makes text of the ids; the two routers hand bytes on.",
  `Failures: one of the two upstreams goes wrong after ${tokensBefore} tokens (or before the first byte), the other is well; ${failingStreams} streams one after another, of which so many met it (more than once where a program tries again). whole: all tokens and the answer's end; short: a proper end of the stream without them; error: the client was told; broken: the connection broke off; hung: nothing for 8 s. The same streams' longest silence is beside them.`,
  "Where they can be told how long to wait: the edge 0.8 s between two tokens (POOL_GAP_SECONDS), Portkey's gateway 5 s (request_timeout), vllm-router 5 s (--request-timeout-secs), with its retries and breakers as they are by default. Portkey's gateway balances load between two fallbacks, each from one of the upstreams to the other.",
];

async function run({ model, rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const collector = new SeriesCollector();
  const upstreams = [await startUpstream(), await startUpstream()];
  const running: { stop(): Promise<void> }[] = upstreams.map(({ group }) => group);
  const stopAll = async (): Promise<void> => {
    await Promise.all(running.map((one) => one.stop()));
  };
  const forget = whenEnded(stopAll);
  try {
    progress("starting the programs");
    const participants = await startParticipants(
      upstreams.map(({ url }) => url),
      model,
    );
    running.push(...participants);
    await Promise.all(participants.map(warmUp));
    const asked = await Promise.all(upstreams.map(async ({ url }) => Number(await (await fetch(`${url}/count`)).text())));
    const least = participants.length * warmStreams * 0.25;
    if (asked.some((count) => count < least))
      throw new Error(`the upstreams were asked ${asked.join(" and ")} times; each must be, at least ${least}`);
    for (let round = 0; round < rounds; round += 1) {
      for (const { connections, streams } of amounts) {
        progress(`round ${round + 1}: ${settingOf(connections)}`);
        await measureLoad(alternately(participants, round), connections, streams, collector);
      }
    }
    for (const { name, pid, target } of participants) {
      const memory = pid === undefined ? undefined : resident(pid, target.url);
      if (memory === undefined) continue;
      collector.add(afterLoad, "resident memory", "MiB", name, memory.whole);
      if (memory.workers > 0) collector.add(afterLoad, "of it the runtime that holds the Workers", "MiB", name, memory.workers);
    }
    const [bad] = upstreams;
    if (bad === undefined) throw new Error("there is no upstream");
    for (const mode of modes) {
      if (mode === "good") continue;
      progress(failureOf[mode]);
      for (const one of participants)
        if (one.name !== alone && one.name !== floor && one.name !== chain && one.name !== hops)
          await measureFailure(one, bad.url, mode, collector);
    }
  } finally {
    forget();
    await stopAll();
  }
  return {
    settings: { rounds, connections: amounts.map(({ connections }) => connections).join(", "), "tokens a stream": answerTokens },
    notes,
    series: collector.all(),
    comparisons: comparisons(collector),
    floors: floors(collector),
  };
}

async function warmUp({ name, target }: Participant): Promise<void> {
  const agent = agentOf(1);
  const { ending, text } = await readStream(target, agent);
  agent.destroy();
  if (ending !== "whole") throw new Error(`${name}: the first stream's end was '${ending}': ${text.slice(0, 500)}`);
  await load(target, 16, warmStreams);
}

async function measureLoad(
  participants: readonly Participant[],
  connections: number,
  streams: number,
  collector: SeriesCollector,
): Promise<void> {
  const setting = settingOf(connections);
  const measured = new Map<string, { readonly p50: number; readonly p99: number }>();
  for (const { name, pid, target } of participants) {
    const before = pid === undefined ? undefined : computed(pid, target.url);
    const { times, perSecond } = await load(target, connections, streams);
    const after = pid === undefined ? undefined : computed(pid, target.url);
    if (before !== undefined && after !== undefined)
      collector.add(setting, "computing time of the Workers a stream", "ms", name, ((after - before) * 1_000) / streams);
    collector.add(setting, "throughput", "streams/s", name, perSecond);
    measured.set(name, { p50: quantile(times, 0.5), p99: quantile(times, 0.99) });
  }
  const baseline = measured.get(alone);
  if (baseline === undefined) throw new Error("the upstream alone was not measured");
  for (const [name, { p50, p99 }] of measured) {
    collector.add(setting, "latency, p50", "ms", name, p50);
    collector.add(setting, "latency, p99", "ms", name, p99);
    if (name === alone) continue;
    collector.add(setting, "added, p50", "ms", name, p50 - baseline.p50);
    collector.add(setting, "added, p99", "ms", name, p99 - baseline.p99);
  }
}

async function measureFailure(
  { name, target }: Participant,
  bad: string,
  mode: Exclude<Mode, "good">,
  collector: SeriesCollector,
): Promise<void> {
  const agent = agentOf(1);
  const asked = async (): Promise<number> => Number(await (await fetch(`${bad}/count`)).text());
  const setMode = (to: Mode): Promise<Response> => fetch(`${bad}/mode`, { method: "POST", body: to });
  await setMode("good");
  // Whatever came before is over: the program trusts the upstream again.
  const trusts = async (): Promise<true | undefined> => {
    await readStream(target, agent);
    return (await asked()) >= 3 ? true : undefined;
  };
  await until(trusts, { milliseconds: 60_000, everyMilliseconds: 100 }, () => {
    throw new Error(`${name} no longer asks an upstream that is well`);
  });
  await setMode(mode);
  const counts = new Map<Ending, number>([["whole", 0]]);
  const known: StreamEnd[] = [];
  for (let stream = 0; stream < failingStreams; stream += 1) {
    const end = await readStream(target, agent);
    counts.set(end.ending, (counts.get(end.ending) ?? 0) + 1);
    known.push(end);
  }
  const longest = Math.max(...known.map(({ longestGap }) => longestGap));
  const deaths = (await (await fetch(`${bad}/deaths`)).json()) as Death[];
  const charactersOf = (tokens: number): number => target.texts[tokens]?.length ?? 0;
  const takeovers = known.flatMap((stream) => takeoverTimes(stream, deaths, charactersOf));
  collector.add(failureOf[mode], "that met it", `of ${failingStreams}`, name, await asked());
  for (const [ending, count] of counts) collector.add(failureOf[mode], ending, `of ${failingStreams}`, name, count);
  collector.add(failureOf[mode], "longest silence", "ms", name, longest);
  if (takeovers.length > 0) collector.add(failureOf[mode], deathToToken, "ms", name, Math.max(...takeovers));
  await setMode("good");
  agent.destroy();
}

function found(collector: SeriesCollector, setting: string, figure: string, name: string): Series {
  const series = collector.find(setting, figure, name);
  if (series === undefined) throw new Error(`${figure} of ${name} was not measured`);
  return series;
}

function comparisons(collector: SeriesCollector): Comparison[] {
  return amounts.flatMap(({ connections }) =>
    [...others, floor, chain].flatMap((other) =>
      ["throughput", "latency, p99"].map((figure) =>
        compare(found(collector, settingOf(connections), figure, edge), found(collector, settingOf(connections), figure, other), "ratio"),
      ),
    ),
  );
}

function floors(collector: SeriesCollector): Floor[] {
  const median = (setting: string, figure: string, name: string): number =>
    summarize(found(collector, setting, figure, name).values).median;
  const rates = amounts.map(({ connections }) => {
    const rate = (name: string): number => median(settingOf(connections), "throughput", name);
    return {
      name: `streams a second, ${settingOf(connections)}, over the lesser of Portkey's and two thirds of the floor's`,
      required: 1,
      measured: rate(edge) / Math.min(rate(portkey), rate(floor) / 1.5),
    };
  });
  const kept = (Object.values(failureOf) as readonly string[]).flatMap((setting) => [
    { name: `whole streams of the edge, ${setting}`, required: failingStreams, measured: median(setting, "whole", edge) },
    { name: `a second over the longest ${deathToToken}, ${setting}`, required: 1, measured: 1_000 / median(setting, deathToToken, edge) },
  ]);
  const added = amounts.map(({ connections }) => {
    const p99 = (name: string): number => median(settingOf(connections), "added, p99", name);
    return {
      name: `the greater of half of what Portkey's adds and 1.5 times what the floor does, over what the edge does, p99, ${settingOf(connections)}`,
      required: 1,
      measured: Math.max(p99(portkey) / 2, p99(floor) * 1.5) / p99(edge),
    };
  });
  return [...rates, ...added, ...kept];
}

export const poolSuite: Suite = {
  name: "pool",
  description: "what the edge adds to replicas' streams, and what it makes of failures, beside Portkey's gateway and vllm-router",
  defaultRounds: 1,
  run,
};
