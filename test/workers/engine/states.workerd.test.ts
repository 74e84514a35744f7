/** States through the real engine in the real runtime: a tiny model with linear and windowed layers, whose windows are soon full. */
import { expect, test } from "vitest";
import type { SaveStates } from "../../../workers/contracts/engine.ts";
import { generate, greedy, testedBackend } from "../../contract/generation.ts";
import { stateConformance } from "../../contract/state-conformance.ts";
import { filesOf, sourceOf } from "../../contract/state-files.ts";
import { evenCuts } from "./even-cuts.ts";
import { stagesOf, TestedBackend, type LoadPart } from "./staged-backend.ts";
import { SchedulerBackend, tinyModel, tinyModelBytes, tinyVocabulary } from "./tiny-model.ts";
import { createModelLoader } from "../../../workers/engine/wasm-module.ts";

const requestTokens = 1000;

// An isolate holds one model.
let opened: Promise<SchedulerBackend> | undefined;
const open = () => (opened ??= tinyModel(requestTokens).then((model) => new SchedulerBackend(model)));

const loadPart: LoadPart = (options = {}) => {
  const loader = createModelLoader({ kvType: "int8", memoryLimitBytes: 121 * 1024 * 1024, ...options });
  loader.push(tinyModelBytes());
  return loader.finish();
};
const stages = () => stagesOf(loadPart, evenCuts(8, tinyVocabulary, 3));

stateConformance("a scheduler over a tiny model", open, {
  vocabulary: Array.from({ length: tinyVocabulary }, (_unused, at) => at),
  cuts: [1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 31, 32, 33, 40, 64, 70],
  full: [40, 400],
  timeoutMilliseconds: 30_000,
});

stateConformance("a scheduler over three stages", async () => new TestedBackend((await stages()).engine), {
  vocabulary: Array.from({ length: tinyVocabulary }, (_unused, at) => at),
  cuts: [1, 6, 7, 31, 32, 33, 70],
  full: [40, 400],
  timeoutMilliseconds: 30_000,
});

test("the recurrent part is rounded where that is asked for, and only then", async () => {
  const backend = await testedBackend(await open());
  const prompt = Array.from({ length: 40 }, (_unused, at) => at % tinyVocabulary);
  const saved = async (recurrent: Pick<SaveStates, "recurrent">): Promise<Uint8Array> => {
    const save: SaveStates = { at: [40], end: false, fromPage: 0, ...recurrent };
    return filesOf((await generate(backend, { ...greedy(prompt), maxTokens: 0, save })).all).get(40) ?? new Uint8Array();
  };
  const [exact, asked, rounded] = [await saved({}), await saved({ recurrent: "f32" }), await saved({ recurrent: "bf16" })];
  expect(asked).toEqual(exact);
  expect([exact[121], rounded[121]]).toEqual([0, 1]);
  const headBytes = (file: Uint8Array) => Number(new DataView(file.buffer).getBigUint64(124, true));
  expect(headBytes(exact)).toBe(2 * headBytes(rounded));
  expect(exact.length - rounded.length).toBe(headBytes(rounded));
  const resume = { tokens: 40, state: sourceOf(rounded, []), seen: new Uint32Array() };
  const { all, tokens } = await generate(backend, { ...greedy([1]), resume });
  expect(all[0]).toEqual({ type: "restored", tokens: 40 });
  expect(tokens).toHaveLength(4);
});
