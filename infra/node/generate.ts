/** `spikingbrain generate`: a prompt's continuation, or the answer to a message, written as it is computed. */
import { Command } from "commander";
import { readGgufFacts } from "../local/gguf/metadata.ts";
import { ChatTemplate } from "../../workers/tokenizer/chat-template.ts";
import { StreamDecoder } from "../../workers/tokenizer/stream-decoder.ts";
import { Tokenizer } from "../../workers/tokenizer/tokenizer.ts";
import type { Engine, EngineDescription } from "../../workers/engine/engine-surface.ts";
import { loadEngine } from "./engine-package.ts";
import { kvOption, loadOptions, modelOption, modelPath, numberIn, packageOption, spikesOption, type EngineOptions } from "./options.ts";

interface GenerateOptions extends EngineOptions {
  readonly raw?: true;
  readonly system?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly repetitionPenalty: number;
  readonly seed: number;
}

export const generateCommand = new Command("generate")
  .description("Answer a message (or, with --raw, continue a text), writing tokens as they are computed.")
  .argument("<text>", "the message, or the text to continue")
  .addOption(modelOption())
  .option("--raw", "continue the text as it is, without the chat template")
  .option("--system <text>", "system prompt")
  .option("-n, --max-tokens <count>", "most tokens to generate", numberIn(1, 1_000_000, true), 256)
  .option("-t, --temperature <number>", "0 is greedy", numberIn(0, 2), 0)
  .option("--top-p <number>", "keep the smallest set of tokens that reaches this probability", numberIn(1e-6, 1), 1)
  .option("--top-k <count>", "keep so many of the likeliest tokens; 0 keeps all", numberIn(0, 1_000_000, true), 0)
  .option("--repetition-penalty <number>", "1 is off", numberIn(0.01, 2), 1)
  .option("--seed <number>", "same seed, same text", numberIn(0, Number.MAX_SAFE_INTEGER, true), 0)
  .addOption(spikesOption())
  .addOption(kvOption("int8"))
  .addOption(packageOption())
  .action(generate);

async function generate(text: string, options: GenerateOptions): Promise<void> {
  const path = await modelPath(options);
  const { tokenizer: file } = await readGgufFacts(path);
  const tokenizer = Tokenizer.fromTokenizerFile(file);
  const prompt = promptTokens(text, options, tokenizer, file.chatTemplate);
  const engine = await loadEngine(path, loadOptions(options));
  const { contextLength, kernel } = JSON.parse(engine.describe()) as EngineDescription;
  if (prompt.length >= contextLength)
    throw new Error(
      `The prompt has ${String(prompt.length)} tokens; the model's context of ${String(contextLength)} leaves none to generate.`,
    );

  const decoder = new StreamDecoder(tokenizer, { skipSpecial: true });
  const begin = performance.now();
  let first = begin;
  let count = 0;
  for (const id of continuation(engine, prompt, options, file.eosTokenIds)) {
    if (count === 0) first = performance.now();
    count += 1;
    process.stdout.write(decoder.push(id));
    if (prompt.length + count >= contextLength) break;
  }
  process.stdout.write(`${decoder.flush()}\n`);
  const decodeSeconds = (performance.now() - first) / 1000;
  const rate = count > 1 ? `, ${((count - 1) / decodeSeconds).toFixed(1)} tokens/s` : "";
  console.error(
    `${String(prompt.length)} prompt tokens, TTFT ${((first - begin) / 1000).toFixed(2)} s; ${String(count)} tokens${rate}; kernel ${kernel}`,
  );
}

function promptTokens(text: string, options: GenerateOptions, tokenizer: Tokenizer, template: string | null): Uint32Array {
  if (options.raw === true) return tokenizer.encodeWithSpecial(text);
  if (template === null) throw new Error("The model has no chat template; --raw continues a text.");
  const system = options.system === undefined ? [] : [{ role: "system", content: options.system }];
  return new ChatTemplate(template, tokenizer).renderToTokens([...system, { role: "user", content: text }], { addGenerationPrompt: true });
}

function* continuation(engine: Engine, prompt: Uint32Array, options: GenerateOptions, stopTokens: readonly number[]): Generator<number> {
  const { temperature, topP, topK, repetitionPenalty, seed } = options;
  const sampling = { temperature, topP, topK, minP: 0, repetitionPenalty, presencePenalty: 0, frequencyPenalty: 0, logitBias: [], seed };
  const sequence = engine.open(JSON.stringify({ sampling, minTokens: 0, stopTokens, topLogprobs: null, promptLogprobs: null }));
  engine.feed(sequence, prompt);
  for (let count = 0; count < options.maxTokens; count += 1) {
    engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
    const { id, stop } = JSON.parse(engine.sample(sequence)) as { readonly id: number; readonly stop: boolean };
    if (stop) return;
    yield id;
  }
}
