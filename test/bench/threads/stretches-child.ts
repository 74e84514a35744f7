/** Measures {@link Stretches} in a process of its own. Arguments: GGUF, threads. A line `{ prompt, decode, rounds }` in, a line of summaries out. */
import { createInterface } from "node:readline";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { inspectModel, instantiate } from "../../../infra/node/engine-package.ts";
import { partChunkBytes, pushFile, versionOf, type FileVersion } from "../../../infra/node/weights-file.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import { Caller, createLine, Follower, type CallLine } from "../../../workers/engine/ranks/calls.ts";
import { createMeeting, type Meeting } from "../../../workers/engine/ranks/exchange.ts";
import { follow } from "../../../workers/engine/ranks/follow.ts";
import { RankedEngine } from "../../../workers/engine/ranks/ranked-engine.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { leastOf, stretchesOf, summaryOf, type Stretches, type Summary } from "./stretches.ts";
import { createTimes, TimedExchange, type CallTimes } from "./timed-exchange.ts";

export interface StretchesTask {
  readonly prompt: readonly number[];
  readonly decode: number;
  readonly rounds: number;
}

/** Of the whole prompt, and of one decoded token. */
export interface StretchesAnswer {
  readonly prefill: Summary;
  readonly decode: Summary;
}

interface ThreadData {
  readonly path: string;
  readonly version: FileVersion;
  readonly rank: number;
  readonly ranks: number;
  readonly meeting: Meeting;
  readonly line: CallLine;
  readonly times: CallTimes;
}

async function loaded({ path, version, rank, ranks, meeting, times }: ThreadData) {
  const { ModelLoader, memory } = await instantiate("relaxed");
  const exchange = new TimedExchange(meeting, () => memory.buffer, times);
  const loader = new ModelLoader(JSON.stringify({ kvType: "int8", rank, ranks }), exchange);
  await pushFile(path, loader, { version, chunkBytes: partChunkBytes });
  return { loader, exchange };
}

async function lead(path: string, ranks: number): Promise<void> {
  const [{ exchangedBytes }, version] = [await inspectModel(path, []), await versionOf(path)];
  const [meeting, line] = [createMeeting(ranks, exchangedBytes), createLine(ranks - 1)];
  const times = Array.from({ length: ranks }, createTimes);
  const [own, ...others] = times.map((of, rank): ThreadData => ({ path, version, rank, ranks, meeting, line, times: of }));
  if (own === undefined) throw new Error("there must be a thread");
  const ready = others.map(
    (data) =>
      new Promise((resolve, reject) => {
        new Worker(import.meta.filename, { workerData: data }).on("message", resolve).on("error", reject);
      }),
  );
  const { loader, exchange } = await loaded(own);
  await Promise.all(ready);
  const engine = new RankedEngine({ caller: new Caller(line), meeting, exchange, finish: () => loader.finish() });
  console.log("{}");
  for await (const task of createInterface({ input: process.stdin }))
    console.log(JSON.stringify(measured(engine, times, JSON.parse(task) as StretchesTask)));
  process.exit();
}

function measured(engine: RankedEngine, times: readonly CallTimes[], { prompt, decode, rounds }: StretchesTask): StretchesAnswer {
  const least = new Map<string, (Stretches | undefined)[]>();
  const step = (name: string, sequence: number, count: number): void => {
    for (const of of times) of.count[0] = 0;
    engine.step(Uint32Array.of(sequence, count));
    const known = least.get(name) ?? [];
    least.set(
      name,
      times.map((of, rank) => {
        const calls = of.count[0] ?? 0;
        const [work, call] = [of.work, of.call].map((numbers) => [...numbers.subarray(0, calls)]) as [number[], number[]];
        // Who is alone copies here for nobody, and does not where no other thread is asked for.
        const copying = times.length === 1 ? call.map(() => 0) : call;
        return leastOf(known[rank], stretchesOf(work, copying, [...of.waits.subarray(0, calls)].map(Boolean)));
      }),
    );
  };
  const steps = Array.from({ length: Math.ceil(prompt.length / defaultLimits.prefillTokensPerStep) }, (_, at) => `prefill ${at}`);
  for (let round = 0; round < rounds; round += 1) {
    const sequence = engine.open(JSON.stringify(greedyParameters));
    engine.feed(sequence, Uint32Array.from(prompt));
    for (const name of steps) step(name, sequence, Math.min(defaultLimits.prefillTokensPerStep, engine.pending(sequence)));
    for (let count = 0; count < decode; count += 1) {
      engine.sample(sequence);
      step("decode", sequence, 1);
    }
    engine.close(sequence);
  }
  const summary = (name: string): Summary => summaryOf((least.get(name) ?? []).map((one) => one ?? []));
  const prefill = steps.map(summary).reduce((sum, one) => ({
    longest: sum.longest + one.longest,
    ranks: sum.ranks.map((milliseconds, rank) => milliseconds + (one.ranks[rank] ?? 0)),
  }));
  return { prefill, decode: summary("decode") };
}

async function followFirst(data: ThreadData): Promise<void> {
  const { loader, exchange } = await loaded(data);
  parentPort?.postMessage("ready");
  follow(
    new Follower(data.line, data.rank - 1),
    () => loader.finish(),
    (code) => {
      exchange.leave(code);
    },
  );
}

if (isMainThread) await lead(process.argv[2] ?? "", Number(process.argv[3]));
else await followFirst(workerData as ThreadData);
