/** The real engine in the real runtime, under the memory cap, over a tiny model whose state is constant: no window or page is as long as this text. */
import { describe, expect, it } from "vitest";
import { ask, collect, tokensOf } from "./requests.ts";
import { SchedulerBackend, tinyModel, tinyVocabulary } from "./tiny-model.ts";

const requestTokens = 40_000;
const prompt = Array.from({ length: 20_000 }, (_unused, at) => (at * 7) % tinyVocabulary);

describe("20,000 tokens of a model whose state is constant", () => {
  it("are read in the memory of a few, and told on the way", { timeout: 120_000 }, async () => {
    const model = await tinyModel(requestTokens);
    const { engine, description } = model;
    const { state, contextLength } = description;
    if (state === undefined) throw new Error("the description must have a state");
    expect({ contextLength, constant: state.constant }).toEqual({ contextLength: requestTokens, constant: true });

    const backend = new SchedulerBackend(model);
    const short = await collect(await ask(backend, { prompt: prompt.slice(0, 600), maxTokens: 1 }));
    expect(tokensOf(short)).toHaveLength(1);
    const memory = engine.memoryBytes();
    const events = await collect(await ask(backend, { prompt, maxTokens: 8, reportState: true }));
    expect(tokensOf(events)).toHaveLength(8);
    expect(events.at(-1)).toMatchObject({ type: "finish", state: { tokens: 20_007 } });
    const told = events.flatMap((event) => (event.type === "read" ? [event.state] : []));
    expect(told.map(({ tokens }) => tokens)).toEqual(told.map((_state, at) => 256 * (at + 1)));
    expect(Math.max(...told.map(({ bytes }) => bytes))).toBeLessThanOrEqual(state.bytes);
    // Token ids are all that a long text adds.
    const grown = engine.memoryBytes() - memory;
    expect(4 * grown).toBeLessThan(prompt.length * state.fullAttentionBytesPerToken);
  });
});
