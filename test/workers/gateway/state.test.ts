import { beforeEach, expect, test } from "vitest";
import { requireState } from "../../../workers/gateway/plan/require-state.ts";
import { chat, chatChunks, complete, failure, payloads } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { idOf } from "../support/tiny-tokenizer.ts";
import { toyState } from "../support/toy-backend.ts";
import { smallestDescription } from "../support/smallest-description.ts";

beforeEach(() => engine.use({ reply: [idOf("hello"), idOf("Ġworld")] }));

/** Tokens of the prompt that `chat` sends. */
const prompt = 21;

test("a stream tells of the state while the prompt is read, with each delta, and in its usage", async () => {
  const chunks = await chatChunks(await chat({ stream: true, state: true, stream_options: { include_usage: true } }));
  const live = chunks.flatMap((chunk) => ("state" in chunk ? [chunk.state] : []));
  expect(live.slice(0, 3)).toEqual([toyState(10), toyState(prompt), toyState(prompt + 1)]);
  expect(chunks.at(-1)).toMatchObject({ usage: { state: toyState(prompt + 2) } });
});

test("what is told while the prompt is read carries no text", async () => {
  const chunks = await chatChunks(await chat({ stream: true, state: true }));
  const first = chunks.find((chunk) => "state" in chunk);
  expect(first).toMatchObject({ choices: [{ delta: { content: "" }, finish_reason: null }] });
});

test("a whole answer tells of it in its usage, over all choices", async () => {
  const answer = await (await chat({ state: true })).json();
  expect(answer).toMatchObject({ choices: [{ message: { content: "hello world" } }], usage: { state: toyState(prompt + 2) } });
  const one = toyState(2 + 2);
  expect(await (await complete({ prompt: "hi", state: true, n: 2 })).json()).toMatchObject({
    usage: { state: { tokens: 2 * one.tokens, bytes: 2 * one.bytes } },
  });
});

test("nobody who does not ask is told", async () => {
  expect(JSON.stringify(await (await chat({})).json())).not.toContain("state");
  expect((await payloads(await chat({ stream: true, state: false }))).join()).not.toContain("state");
  expect(engine.calls.every(({ reportState }) => reportState === false)).toBe(true);
});

test("the field must be true or false, and a backend that does not know refuses", async () => {
  expect(await failure(await chat({ state: 1 }))).toMatchObject({ code: "invalid_request", param: "state" });
  expect(() => {
    requireState(smallestDescription);
  }).toThrow("'state' cannot be reported");
});
