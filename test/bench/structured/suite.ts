/** What a constraint costs decoding: one process, one build, sequences that alternate token by token, one of them held to a JSON string. */
import { readFileSync } from "node:fs";
import { inRepository } from "../../../infra/local/paths.ts";
import { locateModel } from "../../../infra/local/models/source.ts";
import { loadEngine } from "../../../infra/node/engine-package.ts";
import type { Constraint } from "../../../workers/contracts/constraint.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { Engine } from "../../../workers/engine/engine-surface.ts";
import { GrammarTexts } from "../../../workers/grammar/texts.ts";
import { tokensOf } from "../../../workers/grammar/wasm-grammar.ts";
import { alternately } from "../alternately.ts";
import { preparedTokenizer, promptOf } from "../engine/prompt.ts";
import { compare, SeriesCollector, type SuiteResult } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import type { Suite, SuiteOptions } from "../suite.ts";
import { timed } from "../timed.ts";

const contextTokens = 128;
const decodedTokens = 48;
const memoryLimitBytes = 2 ** 28;
/** Masks may cost a decoded token a twentieth of its time. */
const leastRatio = 0.95;

const free = "no constraint";
/** Each byte is another place for the library, which it has not looked at before: no step of another schema takes it longer. */
const counted = "held to a JSON string of bounded length";
const plain = "held to the text of a JSON string";
const setting = `${contextTokens} tokens of context`;
const figure = "decode";
/** Every byte of them is a choice among tens of thousands of tokens: no step of another schema has a larger mask. */
const constraints: Readonly<Record<string, Constraint>> = {
  [counted]: { kind: "json_schema", text: JSON.stringify({ type: "string", minLength: 4000 }) },
  [plain]: { kind: "regex", text: String.raw`[^"\\]*` },
};

async function run({ rounds, progress }: SuiteOptions): Promise<SuiteResult> {
  const { path } = await locateModel();
  const engine = await loadEngine(path, { package: "relaxed", kvType: "int8", memoryLimitBytes });
  const tokenizer = preparedTokenizer();
  const prompt = Uint32Array.from(promptOf(tokenizer, contextTokens));
  const texts = new GrammarTexts(moduleOf(readFileSync(inRepository("wasm/pkg/grammar/grammar.wasm"))));
  const tokens = { digest: "built-in", tokens: () => tokensOf(tokenizer, tokenizer.vocabularySize, tokenizer.eosTokenIds) };
  const open = () => new Map(Object.entries(constraints).map(([name, one]) => [name, texts.open(one, tokens, new Uint32Array())]));
  decodeAlternately(engine, prompt, open);
  const collector = new SeriesCollector();
  for (let round = 0; round < rounds; round += 1) {
    const seconds = decodeAlternately(engine, prompt, open);
    for (const [name, taken] of seconds) collector.add(setting, figure, "tokens/s of processor", name, decodedTokens / taken);
    progress(`round ${round + 1} of ${rounds}`);
  }
  const of = (name: string) => {
    const series = collector.find(setting, figure, name);
    if (series === undefined) throw new Error(`${name} was not measured`);
    return series;
  };
  const costs = [plain, counted].map((name) => compare(of(name), of(free), "ratio"));
  return {
    settings: { rounds, "decoded tokens a round": decodedTokens, package: "relaxed" },
    notes: [
      "All sequences decode greedily; they alternate token by token, in the opposite order every other time, and processor time counts.",
      "Held: after each token its text takes it in, and the engine gets the mask of what may come next. The call between the Workers is not part of it.",
    ],
    series: collector.all(),
    comparisons: costs,
    floors: costs.map(({ program, values }) => ({
      name: `decode at ${setting}, ${program} / ${free}`,
      required: leastRatio,
      measured: median(values),
    })),
  };
}

/** Processor seconds of each sequence's tokens. */
function decodeAlternately(
  engine: Engine,
  prompt: Uint32Array,
  open: () => ReadonlyMap<string, ReturnType<GrammarTexts["open"]>>,
): ReadonlyMap<string, number> {
  const texts = open();
  const sequences = [free, ...texts.keys()].map((name) => {
    const sequence = engine.open(JSON.stringify(greedyParameters));
    engine.feed(sequence, prompt);
    const step = texts.get(name)?.step;
    if (step !== undefined) {
      engine.force(sequence, step.forced);
      engine.setMask(sequence, step.mask ?? undefined);
    }
    engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
    return { name, sequence };
  });
  const seconds = new Map<string, number>();
  for (let token = 0; token < decodedTokens; token += 1) {
    for (const { name, sequence } of alternately(sequences, token)) {
      const { processor } = timed(() => {
        const { id } = JSON.parse(engine.sample(sequence)) as { readonly id: number };
        const text = texts.get(name)?.text;
        if (text !== undefined) {
          const { forced, mask } = text.accept(Uint32Array.of(id));
          if (forced.length > 0) throw new Error("a string's bytes are none of them forced");
          engine.setMask(sequence, mask ?? undefined);
        }
        engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
      });
      seconds.set(name, (seconds.get(name) ?? 0) + processor);
    }
  }
  for (const { sequence } of sequences) engine.close(sequence);
  for (const { text } of texts.values()) text.close();
  return seconds;
}

function moduleOf(bytes: Uint8Array): WebAssembly.Module {
  const { Module } = (globalThis as unknown as { readonly WebAssembly: { readonly Module: new (bytes: Uint8Array) => WebAssembly.Module } })
    .WebAssembly;
  return new Module(bytes);
}

export const structuredSuite: Suite = {
  name: "structured",
  description: "what holding an answer to a constraint costs decoding",
  defaultRounds: 9,
  run,
};
