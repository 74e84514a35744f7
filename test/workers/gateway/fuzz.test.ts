import { expect, test } from "vitest";
import { post, type ErrorAnswer } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

/** Repeatable: a failure names its round. */
function randomizer(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const names = [
  ...["model", "messages", "prompt", "stream", "stream_options", "n", "stop", "seed", "temperature", "top_p", "top_k", "min_p", "logprobs"],
  ...["top_logprobs", "logit_bias", "max_tokens", "max_completion_tokens", "presence_penalty", "frequency_penalty", "repetition_penalty"],
  ...[
    "ignore_eos",
    "min_tokens",
    "stop_token_ids",
    "echo",
    "suffix",
    "best_of",
    "tools",
    "response_format",
    "user",
    "tokens",
    "__proto__",
    "constructor",
    "",
  ],
];

test("random bodies are answered or refused, never a server error", async () => {
  const statuses = new Map<number, number>();
  for (let round = 0; round < 400; round++) {
    const random = randomizer(round);
    const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
    const value = (depth: number): unknown =>
      pick<() => unknown>([
        () => pick([0, 1, -1, 2, 1.5, 1e9, 2 ** 53, -0, 20, 1e308]),
        () => pick(["", "a", "tiny", "hi\u0000", "\ud800", "x".repeat(300), "<|im_end|>", "user", "text", "1", "%s{{x}}"]),
        () => pick([true, false, null]),
        () => (depth === 0 ? [] : Array.from({ length: random(4) }, () => value(depth - 1))),
        () =>
          depth === 0
            ? {}
            : Object.fromEntries(
                Array.from({ length: random(4) }, () => [pick([...names, "role", "content", "type", "text", "7"]), value(depth - 1)]),
              ),
      ])();
    const path = pick(["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"]);
    const good: Record<string, unknown> = path.includes("chat")
      ? { model: "tiny", messages: [{ role: "user", content: "hi" }] }
      : path === "/detokenize"
        ? { tokens: [1] }
        : { model: "tiny", prompt: "hi" };
    const body: Record<string, unknown> = random(3) === 0 ? {} : good;
    for (let fields = random(4); fields > 0; fields--)
      Object.defineProperty(body, pick(names), { value: value(3), enumerable: true, configurable: true });
    engine.use({ reply: bytesAsTokens("ok") });
    const response = await post(path, body);
    const text = await response.text();
    expect(response.status, `round ${round}: ${JSON.stringify(body)} -> ${text}`).toBeLessThan(500);
    if (response.status >= 400) expect((JSON.parse(text) as ErrorAnswer).error.message, `round ${round}`).not.toBe("");
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
  }
  // A fuzz that only ever meets one outcome tests nothing.
  expect(statuses.get(200)).toBeGreaterThan(20);
  expect(statuses.get(400)).toBeGreaterThan(20);
});
