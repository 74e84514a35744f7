/** `spikingbrain logits`: the logits after each token, for comparison with the reference. */
import { Command } from "commander";
import { greedyParameters } from "../../workers/contracts/engine.ts";
import type { EngineDescription } from "../../workers/engine/engine-surface.ts";
import { loadEngine } from "./engine-package.ts";
import { kvOption, loadOptions, modelOption, modelPath, packageOption, spikesOption, tokenIds, type EngineOptions } from "./options.ts";

interface LogitsOptions extends EngineOptions {
  readonly tokens: Uint32Array;
}

/** Tokens read at a time: a row of logits for each is in memory. */
const stepTokens = 32;

export const logitsCommand = new Command("logits")
  .description('Print the logits after each token. The last line is one JSON object: {"logits": [[…] per position]}.')
  .addOption(modelOption())
  .requiredOption("--tokens <ids>", "token ids joined by commas", tokenIds)
  .addOption(spikesOption())
  .addOption(kvOption("f32"))
  .addOption(packageOption())
  .action(logits);

async function logits(options: LogitsOptions): Promise<void> {
  const engine = await loadEngine(await modelPath(options), loadOptions(options));
  const { vocabularySize } = JSON.parse(engine.describe()) as EngineDescription;
  const sequence = engine.open(JSON.stringify(greedyParameters));
  engine.feed(sequence, options.tokens);
  process.stdout.write('{"logits": [');
  for (let read = 0; read < options.tokens.length; read += stepTokens) {
    const rows = engine.readLogits(sequence, Math.min(stepTokens, options.tokens.length - read));
    for (let at = 0; at < rows.length; at += vocabularySize) {
      const row = Array.from(rows.subarray(at, at + vocabularySize));
      process.stdout.write(`${read + at > 0 ? ", " : ""}[${row.map(numberOrNothing).join(", ")}]`);
    }
  }
  process.stdout.write("]}\n");
}

/** JSON has no word for what is not finite. */
function numberOrNothing(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`A logit must be finite; one is ${String(value)}.`);
  return String(value);
}
