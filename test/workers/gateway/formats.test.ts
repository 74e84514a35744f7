/** What a format may do that OpenAI's two do not need: events with names, several of one entry, none of another; and recipes of other versions. */
import { describe, expect, test } from "vitest";
import { textOf } from "../../../workers/contracts/choice.ts";
import type { StreamEntry } from "../../../workers/contracts/session.ts";
import { openingEvents, streamedAnswer } from "../../../workers/gateway/stream/answer.ts";
import type { AnswerFormat } from "../../../workers/gateway/stream/formats/format.ts";
import { readRecipe, recipeVersion, type AnswerRecipe } from "../../../workers/gateway/stream/recipe.ts";
import { eventStream } from "../../../workers/gateway/stream/sse.ts";
import { UsageCounter } from "../../../workers/gateway/stream/usage.ts";

const recipe: AnswerRecipe = {
  version: recipeVersion,
  endpoint: "chat",
  header: { id: "id", created: 0, model: "tiny", system_fingerprint: "fp" },
  topLogprobs: null,
  includeUsage: true,
  choices: [{ index: 0, promptIndex: 0 }],
  spikes: null,
  state: false,
};

const named: AnswerFormat = {
  numbers: "entries",
  opening: () => [{ name: "answer.created", data: {} }],
  delta: ({ content }) => [
    { name: "part.added", data: { text: textOf(content) } },
    { name: "part.done", data: {} },
  ],
  closing: (_index, reason) => [{ name: "answer.completed", data: { reason } }],
  done: () => [],
  whole: () => ({}),
};

const entries: readonly StreamEntry[] = [
  { number: 1, event: { type: "delta", index: 0, content: { kind: "text", text: "a", tokens: [] } } },
  { number: 2, event: { type: "delta", index: 0, content: { kind: "text", text: "b", tokens: [] } } },
  { number: 3, event: { type: "end", index: 0, reason: "tool_calls", completionTokens: 2, promptTokens: 1, cachedTokens: 0 } },
  { number: 4, event: { type: "done" } },
];

/** Alone, and two together, as chunks may bring them. */
async function* source(): AsyncGenerator<readonly StreamEntry[], void, undefined> {
  for (const batch of [entries.slice(0, 1), entries.slice(1, 3), entries.slice(3)]) yield await Promise.resolve(batch);
}

async function streamOf(after: number): Promise<string> {
  const idOf = (number: number) => `S.${String(number)}`;
  const report = () => undefined;
  const streamed = {
    recipe,
    format: named,
    usage: new UsageCounter(recipe),
    after,
    idOf,
    report,
    onFailure: report,
  };
  const options = {
    abort: new AbortController(),
    keepAliveMilliseconds: 10_000,
    onFailure: () => undefined,
    opening: openingEvents(streamed),
  };
  const text = await new Response(eventStream(streamedAnswer(source(), streamed), options)).text();
  return text.replaceAll(": keep-alive\n", "");
}

describe("a format whose events have names", () => {
  test("gives several events of one entry, the last with its number, and none of another", async () => {
    expect(await streamOf(0)).toBe(
      [
        "event: answer.created\ndata: {}",
        'event: part.added\ndata: {"text":"a"}',
        "id: S.1\nevent: part.done\ndata: {}",
        'event: part.added\ndata: {"text":"b"}',
        "id: S.2\nevent: part.done\ndata: {}",
        'id: S.3\nevent: answer.completed\ndata: {"reason":"tool_calls"}',
        "data: [DONE]\n\n",
      ].join("\n\n"),
    );
  });

  test("goes on after an entry with all events of the next", async () => {
    expect(await streamOf(1)).toBe(
      [
        'event: part.added\ndata: {"text":"b"}',
        "id: S.2\nevent: part.done\ndata: {}",
        'id: S.3\nevent: answer.completed\ndata: {"reason":"tool_calls"}',
        "data: [DONE]\n\n",
      ].join("\n\n"),
    );
  });
});

describe("a recipe", () => {
  test.each([1, 2, 3] as const)("of version %i is read as it was written", (version) => {
    expect(readRecipe(JSON.stringify({ ...recipe, version }))).toEqual({ ...recipe, version });
  });

  test.each([
    ["a later version", { ...recipe, version: recipeVersion + 1 }],
    ["none", { ...recipe, version: undefined }],
  ])("of %s is refused, not read wrongly", (_name, other) => {
    expect(() => readRecipe(JSON.stringify(other))).toThrow("made by another version of this server");
  });
});
