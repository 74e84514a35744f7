/** `spikingbrain inspect`: what a model is, what it weighs and what a conversation with it takes, from its header alone. */
import { Command } from "commander";
import { inspectModel } from "./engine-package.ts";
import type { Inspection } from "./package-surface.ts";
import { modelOption, modelPath, numberIn } from "./options.ts";

interface InspectOptions {
  readonly model?: string;
  readonly context?: readonly number[];
  readonly json?: true;
}

const contexts = [1_024, 4_096, 32_768, 131_072, 1_048_576];
const contextNumber = numberIn(0, 2 ** 30, true);

export const inspectCommand = new Command("inspect")
  .description("Describe a model from its header: parameters, packed weights, state at any context. It need not fit in memory.")
  .addOption(modelOption())
  .option("--context <tokens...>", "contexts to give the state for", (text: string, all?: readonly number[]) => [
    ...(all ?? []),
    contextNumber(text),
  ])
  .option("--json", "print one JSON object")
  .action(inspect);

async function inspect(options: InspectOptions): Promise<void> {
  const found = await inspectModel(await modelPath({ ...options }), options.context ?? contexts);
  console.log(options.json === true ? JSON.stringify(found) : lines(found).join("\n"));
}

function lines(model: Inspection): string[] {
  const list = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([name, count]) => `${String(count)} ${name}`)
      .join(", ");
  const rows = model.state.f32.map((f32, at) => {
    const int8 = model.state.int8[at] ?? f32;
    const cells = [f32.bytes, f32.bytesPerToken, int8.bytes, int8.bytesPerToken].map((bytes) => readableBytes(bytes).padStart(12));
    return [f32.context.toLocaleString("en").padStart(12), ...cells].join("  ");
  });
  return [
    model.name === "" ? "(no name)" : model.name,
    `architecture         ${model.architecture}`,
    `layers               ${String(model.layers)}: ${list(model.layerKinds)}`,
    `width                ${String(model.hidden)}, ${String(model.heads)} heads of ${String(model.headDim)}, ${String(model.kvHeads)} for keys and values`,
    `vocabulary           ${model.vocabulary.toLocaleString("en")}`,
    `trained context      ${model.contextLength.toLocaleString("en")} tokens`,
    `parameters           ${model.parameters.toLocaleString("en")}`,
    `active for a token   ${model.activeParameters.toLocaleString("en")}`,
    `packed weights       ${readableBytes(model.weightBytes)} (${list(model.storedTypes)} tensors)`,
    `spikes               ${model.spikes}, k = ${[String(model.spikesK), ...siteThresholds(model.spikesSiteK)].join(", ")}`,
    `linear state         ${readableBytes(model.state.f32[0]?.headBytes ?? 0)}, constant${model.salientTokens === null ? "" : ", sums of evicted tokens included"}`,
    ...(model.salientTokens === null ? [] : [`salient tokens       ${String(model.salientTokens)} of each head for keys and values`]),
    `context              ${model.constantState ? "unlimited: the state stops growing" : "limited by memory: the state grows with every token"}`,
    "",
    ["context", "state, f32", "next token", "state, int8", "next token"].map((name) => name.padStart(12)).join("  "),
    ...rows,
  ];
}

function siteThresholds(thresholds: Readonly<Record<string, number>>): string[] {
  return Object.entries(thresholds).map(([site, k]) => `${String(k)} at ${site}`);
}

function readableBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? String(value) : value.toFixed(1)} ${units[unit] ?? ""}`;
}
