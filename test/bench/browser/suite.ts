/** Our engine beside wllama, which is llama.cpp in WebAssembly: one thread each, on the same file in pages of one browser, alternately. */
import { existsSync } from "node:fs";
import { locateModel } from "../../../infra/local/models/source.ts";
import { run as runProgram } from "../../../infra/local/run.ts";
import { launchBrowser } from "../../support/browser.ts";
import { alternately } from "../alternately.ts";
import { decodedTokens, settingName } from "../engine/participant.ts";
import { preparedTokenizer, promptOf } from "../engine/prompt.ts";
import { compare, SeriesCollector, type Comparison, type Floor, type SuiteResult } from "../report/result.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { ours, wllama, type BrowserMeasurement, type BrowserParticipant } from "./participants.ts";
import { startPageServer, wllamaFolder } from "./server.ts";

const contexts = [128] as const;
/** Room of wllama's context. */
const contextTokens = 1_024;

const [mine, compatible, newest] = ["WASM relaxed, Chromium", "wllama, compatible build", "wllama"] as const;

/** Least ratios to wllama's compatible build. */
const floors = { prefill: 10, decode: 5 } as const;

/** As many characters of what is written must be the same: the arithmetic differs, and so may a later token. */
const commonCharacters = 12;

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  await setupWllama();
  const { path } = await locateModel();
  const tokenizer = preparedTokenizer();
  const server = await startPageServer(path);
  const browser = await launchBrowser();
  try {
    progress("three pages load the model …");
    const participants = [
      await ours(browser, server.url, mine, (ids) => tokenizer.decode(ids)),
      await wllama(browser, server.url, compatible, { compatible: true, contextTokens }),
      await wllama(browser, server.url, newest, { compatible: false, contextTokens }),
    ];
    const collector = new SeriesCollector();
    // The first round is for compilers.
    for (let round = -1; round < rounds; round += 1)
      for (const tokens of contexts) {
        const prompt = promptOf(tokenizer, tokens);
        const task = { prompt, text: tokenizer.decode(prompt), decode: decodedTokens };
        const written: string[] = [];
        for (const participant of alternately(participants, round)) {
          const measured = await participant.measure(task);
          mustHaveDone(participant, measured, tokens);
          written.push(measured.written);
          const rates = { prefill: tokens / measured.prefillSeconds, decode: measured.decodedTokens / measured.decodeSeconds };
          progress(`round ${round + 1}, ${settingName(tokens)}, ${participant.name}: ${JSON.stringify(rates)}`);
          if (round < 0) continue;
          for (const [figure, rate] of Object.entries(rates))
            collector.add(settingName(tokens), figure, "tokens/s", participant.name, rate);
        }
        mustBeginAlike(written);
      }
    return {
      settings: { rounds, contexts: contexts.join(", "), "decoded tokens": decodedTokens },
      notes: [
        `Chromium ${browser.version()}, one page for each program, one thread, the same GGUF; figures are wall time, wllama's by its own clock.`,
        `${compatible} is @wllama/wllama-compat, for browsers without JSPI and 64-bit memories, which are hidden from it here; ${newest} is what wllama takes in a browser that has them.`,
        "Our engine keeps keys and values in int8, wllama in f16.",
        "Floors are of every program's best round: other load on the machine only takes away.",
      ],
      series: collector.all(),
      comparisons: comparisonsOf(collector),
      floors: floorsOf(collector),
    };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** Of exact versions, in a folder of their own. */
async function setupWllama(): Promise<void> {
  if (existsSync(`${wllamaFolder}/node_modules/@wllama/wllama-compat/package.json`)) return;
  const { status } = await runProgram("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", wllamaFolder]);
  if (status !== 0) throw new Error(`\`npm ci --prefix ${wllamaFolder}\` failed (status ${String(status)}).`);
}

function mustHaveDone({ name }: BrowserParticipant, { promptTokens, decodedTokens: decoded }: BrowserMeasurement, tokens: number): void {
  if (promptTokens === tokens && decoded === decodedTokens) return;
  throw new Error(`${name} has read ${promptTokens} of ${tokens} tokens and decoded ${decoded} of ${decodedTokens}.`);
}

function mustBeginAlike(texts: readonly string[]): void {
  const starts = new Set(texts.map((text) => text.slice(0, commonCharacters)));
  if (starts.size > 1) throw new Error(`The programs go on differently: ${JSON.stringify(texts)}`);
}

function comparisonsOf(collector: SeriesCollector): Comparison[] {
  return collector.all().flatMap((one) => {
    if (one.program !== mine) return [];
    const bases = [compatible, newest].map((program) => collector.find(one.setting, one.figure, program));
    return bases.flatMap((base) => (base === undefined ? [] : [compare(one, base, "ratio")]));
  });
}

function floorsOf(collector: SeriesCollector): Floor[] {
  const best = (setting: string, figure: string, program: string) => Math.max(...(collector.find(setting, figure, program)?.values ?? []));
  return contexts.map(settingName).flatMap((setting) =>
    Object.entries(floors).map(([figure, required]) => ({
      name: `${figure} at ${setting}, ours / ${compatible}, best rounds`,
      required,
      measured: best(setting, figure, mine) / best(setting, figure, compatible),
    })),
  );
}

export const browserSuite: Suite = {
  name: "browser",
  description: "prefill and decode tokens/s in Chromium, beside wllama",
  defaultRounds: 2,
  model: "smollm2-135m",
  run,
};
