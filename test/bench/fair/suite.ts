/** What tenants and documents cost one another: each figure beside others over the same one alone, in one run of one stack over the real engine. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import { summarize } from "../report/statistics.ts";
import { sendContext, whenRead } from "../state/contexts.ts";
import { Client } from "../state/client.ts";
import { untilIdle } from "../state/idle.ts";
import { withStack } from "../stack.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { ChatStream } from "./chat-stream.ts";

/** Streams of the tenant that asks for much, and tokens of each. */
const manyStreams = 30;
const manyTokens = 256;
/** Answer of the tenant that asks for little. */
const smallTokens = 16;
/** Chats at a time, of a tenant each, one answer after another. */
const chats = 2;
const chatTokens = 100;
const chatWindowMilliseconds = 8_000;
/** Some 1,300 tokens: a state as large as any, and read in ten seconds alone. */
const documentLines = 72;
const throughputStreams = 16;
const throughputTokens = 32;

const small = "a small request of another tenant";
const shared = "chats of two tenants";
const document = "a document of a third tenant";
const slowest = "slowest stream";
const single = `${String(throughputStreams)} streams of one tenant`;

const notes = [
  "Everything runs on one machine: client, wrangler's proxy and workerd share its cores, so absolute figures are those of a development stack. What counts are the ratios of one round.",
  `"beside ${String(manyStreams)} streams": the small request is sent once the other tenant's first stream brings tokens; all of them have ${String(manyTokens)} tokens to come.`,
  `Chats: ${String(chats)} tenants, each an answer of ${String(chatTokens)} tokens after another; tokens a second of all together, from when the document is sent until it is ready. The document: tokens read a second, what keeping its state takes included.`,
  "Between measurements the stack comes to rest.",
];

async function run({ model, rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const collector = new SeriesCollector();
  await withStack("real", async (url) => {
    const measured: Measured = { url, model: model.id, collector, topics: 0 };
    const warm = chat(measured, "warm", smallTokens);
    await warm.whole();
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, measure] of [
        [small, measureSmall],
        [shared, measureDocument],
        [single, measureSingle],
      ] as const) {
        progress(`round ${String(round + 1)}: ${name}`);
        await untilIdle(url);
        await measure(measured);
      }
    }
  });
  return {
    settings: { rounds, "streams of one tenant": manyStreams, "tokens of each": manyTokens, "tokens of the small request": smallTokens },
    notes,
    series: collector.all(),
    comparisons: comparisons(collector),
    floors: floors(collector),
  };
}

interface Measured {
  readonly url: string;
  readonly model: string;
  readonly collector: SeriesCollector;
  /** How many chats have been opened: no two are about the same. */
  topics: number;
}

function chat(measured: Measured, tenant: string, maxTokens: number): ChatStream {
  measured.topics += 1;
  const { url, model, topics } = measured;
  return new ChatStream({ url, model, key: `sk-bench-${tenant}`, maxTokens, topic: `lighthouse number ${String(topics)} and the sea` });
}

async function measureSmall(measured: Measured): Promise<void> {
  const { url, collector } = measured;
  const add = async (program: string): Promise<void> => {
    const stream = chat(measured, "small", smallTokens);
    const { firstToken, total } = await stream.whole();
    collector.add(small, "first token", "ms", program, firstToken);
    collector.add(small, "whole answer", "ms", program, total);
  };
  await add("alone");
  await untilIdle(url);
  const many = Array.from({ length: manyStreams }, () => chat(measured, "many", manyTokens));
  try {
    await Promise.race(many.map((stream) => stream.untilFirstToken()));
    await add(beside);
  } finally {
    for (const stream of many) stream.close();
  }
}

const besideDocument = "beside a document";
const beside = `beside ${String(manyStreams)} streams`;

async function measureDocument(measured: Measured): Promise<void> {
  const { url, model, collector } = measured;
  const client = new Client(url, "sk-bench-document");
  const read = async (): Promise<{ readonly from: number; readonly to: number; readonly tokens: number }> => {
    const from = performance.now();
    const context = await whenRead(client, await sendContext(client, model, documentText()), () => undefined);
    const to = performance.now();
    await client.json("DELETE", `/v1/contexts/${context.id}`);
    return { from, to, tokens: context.tokens };
  };
  const perSecond = (count: number, from: number, to: number): number => (1000 * count) / (to - from);
  try {
    const alone = await read();
    collector.add(document, "reading", "tokens/s", "alone", perSecond(alone.tokens, alone.from, alone.to));
    await untilIdle(url);
    const talk = new Conversations(measured);
    try {
      await talk.untilFirstToken();
      const from = performance.now();
      await delay(chatWindowMilliseconds);
      collector.add(shared, "decode", "tokens/s", "alone", perSecond(talk.tokensSince(from), from, performance.now()));
      const other = await read();
      collector.add(shared, "decode", "tokens/s", besideDocument, perSecond(talk.tokensSince(other.from), other.from, other.to));
      collector.add(document, "reading", "tokens/s", "beside chats", perSecond(other.tokens, other.from, other.to));
    } finally {
      await talk.stop();
    }
  } finally {
    client.close();
  }
}

/** Tenants that chat, each one answer after another, until they are stopped. */
class Conversations {
  readonly #streams: ChatStream[] = [];
  readonly #running: readonly Promise<void>[];
  #stopped = false;

  constructor(measured: Measured) {
    this.#running = Array.from({ length: chats }, async (_unused, at) => {
      while (!this.#stopped) {
        const stream = chat(measured, `chat-${String(at)}`, chatTokens);
        this.#streams.push(stream);
        await stream.whole();
      }
    });
  }

  async untilFirstToken(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.untilFirstToken()));
  }

  tokensSince(from: number): number {
    return this.#streams.reduce((sum, stream) => sum + stream.tokensBetween(from, Infinity), 0);
  }

  /** Once what runs has ended. @throws Error where a chat failed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }
}

async function measureSingle(measured: Measured): Promise<void> {
  const begin = performance.now();
  const streams = Array.from({ length: throughputStreams }, () => chat(measured, "single", throughputTokens));
  await Promise.all(streams.map((stream) => stream.whole()));
  const tokens = throughputStreams * throughputTokens;
  measured.collector.add(single, "all streams", "tokens/s", "alone", (1000 * tokens) / (performance.now() - begin));
  const rates = streams.map((stream) => stream.tokensPerSecond());
  const share = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  measured.collector.add(single, slowest, "of a fair share", "alone", Math.min(...rates) / share);
}

/** Another one every time, so that nothing of it is found. */
function documentText(): string {
  const lines = Array.from(
    { length: documentLines },
    (_, at) => `In the year ${String(at + 1500)} the harbour had ${String(at + 7)} boats.`,
  );
  return `Log ${randomUUID()}.\n${lines.join("\n")}`;
}

function comparisons(collector: SeriesCollector): Comparison[] {
  return collector.all().flatMap((series) => {
    const baseline = series.program === "alone" ? undefined : collector.find(series.setting, series.figure, "alone");
    return baseline === undefined ? [] : [compare(series, baseline, "ratio")];
  });
}

/**
 * What a fair share gives at the least. Of two that want something, each has half of every pass: a small request takes twice its time alone. It
 * waits for one pass that is under way when it comes, and ends beside others' (a pass of 64 tokens or 16 answers takes about as long as all of a
 * small request alone), and thirty requests at once cost the gateway its own. Chats have three quarters of the time beside a document, of which
 * keeping the document's state takes some; the document has the rest, and what chats leave between two messages.
 */
function floors(collector: SeriesCollector): Floor[] {
  const over = (setting: string, figure: string, one: string, other: string): number => {
    const [above, below] = [collector.find(setting, figure, one), collector.find(setting, figure, other)];
    if (above === undefined || below === undefined) throw new Error(`${figure} of ${setting} was not measured`);
    return summarize(compare(above, below, "ratio").values).median;
  };
  const typical = (setting: string, figure: string): number => {
    const series = collector.find(setting, figure, "alone");
    if (series === undefined) throw new Error(`${figure} of ${setting} was not measured`);
    return summarize(series.values).median;
  };
  return [
    { name: `first token alone, over ${beside}`, required: 0.2, measured: over(small, "first token", "alone", beside) },
    { name: `whole answer alone, over ${beside}`, required: 0.2, measured: over(small, "whole answer", "alone", beside) },
    { name: `chats ${besideDocument}, over alone`, required: 0.6, measured: over(shared, "decode", besideDocument, "alone") },
    { name: "a document beside chats, over alone", required: 0.2, measured: over(document, "reading", "beside chats", "alone") },
    { name: `${slowest} of ${single}, over its fair share`, required: 0.8, measured: typical(single, slowest) },
  ];
}

export const fairSuite: Suite = {
  name: "fair",
  description: "what another tenant's streams and documents cost a small request and the chats",
  defaultRounds: 3,
  run,
};
