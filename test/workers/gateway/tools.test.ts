/** Functions that answers call, through the API: what the model is told, what comes whole, in deltas and again. What follows a call: `tool-turns.test.ts`. */
import { beforeEach, describe, expect, test } from "vitest";
import { chat, json, payloads, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import {
  ask,
  bothCalls,
  type Call,
  calledIn,
  type Choice,
  choices,
  contextLength,
  expectFit,
  promptOf,
  replyOf,
  rome,
  spoken,
  use,
  weather,
} from "../support/tool-calls.ts";

beforeEach(() => {
  use();
});

test("numbers of parameters keep the digits that a double does not have", async () => {
  const digits = "9223372036854775807";
  const id = { type: "object", properties: { id: { type: "integer", minimum: 1, maximum: "@" } }, required: ["id"] };
  const body = { model: "tiny", messages: [{ role: "user", content: "hi" }], max_tokens: 2, tool_choice: "required" };
  const asked = JSON.stringify({ ...body, tools: [{ type: "function", function: { name: "find", parameters: id } }] });
  const response = await request("/v1/chat/completions", { ...json({}), body: asked.replace('"@"', digits) });
  await choices(response);
  expect(engine.calls[0]?.constraint?.text).toContain(`"maximum":${digits}`);
  expect(promptOf()).toContain(`"maximum":${digits}`);
  const { messages, model } = body;
  const counted = JSON.stringify({ model, messages, tools: [{ type: "function", function: { name: "find", parameters: id } }] });
  const tokenized = await request("/tokenize", { ...json({}), body: counted.replace('"@"', digits) });
  expect((await tokenized.json<{ tokens: number[] }>()).tokens).toEqual([...(engine.calls[0]?.prompt ?? [])]);
});

interface Chunk {
  readonly choices: readonly {
    readonly delta: {
      readonly role?: string;
      readonly content?: string | null;
      readonly tool_calls?: readonly (Partial<Omit<Call, "function">> & {
        readonly index: number;
        readonly function: Partial<Call["function"]>;
      })[];
    };
    readonly logprobs: Choice["logprobs"];
    readonly finish_reason: string | null;
  }[];
}
const chunksOf = (lines: readonly string[]) => lines.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line) as Chunk);

/** As a client puts deltas together; their order is looked at on the way. */
function assembled(chunks: readonly Chunk[]): Choice["message"] & { readonly finish_reason: string | null } {
  let content: string | null = null;
  const calls: { id: string; type: string; function: { name: string; arguments: string } }[] = [];
  let reason: string | null = null;
  for (const [{ delta, finish_reason: why } = { delta: {}, finish_reason: null }] of chunks.map((chunk) => chunk.choices)) {
    reason = why ?? reason;
    if (typeof delta.content === "string") content = (content ?? "") + delta.content;
    for (const { index, id, type, function: called } of delta.tool_calls ?? []) {
      const { name, arguments: given = "" } = called;
      if (id !== undefined) {
        expect([index, type, given]).toEqual([calls.length, "function", ""]);
        calls.push({ id, type: type ?? "", function: { name: name ?? "", arguments: "" } });
      } else {
        expect([index, name, type]).toEqual([calls.length - 1, undefined, undefined]);
        const last = calls.at(-1);
        if (last !== undefined) last.function.arguments += given;
      }
    }
  }
  return { content, ...(calls.length === 0 ? {} : { tool_calls: calls }), finish_reason: reason };
}

describe("a call", () => {
  test("comes whole as OpenAI has it, and the model was told of the functions", async () => {
    use({ reply: replyOf(bothCalls) });
    const [choice] = await choices(await chat(ask));
    expect(choice?.message.content).toBe("Let me see.");
    expect(choice && calledIn(choice)).toEqual([
      ["weather", rome],
      ["clock", "{}"],
    ]);
    const ids = (choice?.message.tool_calls ?? []).map(({ id, type }) => [type, id]);
    expect(ids).toEqual([
      ["function", expect.stringMatching(/^call_[0-9a-f]{20}_0$/)],
      ["function", expect.stringMatching(/^call_[0-9a-f]{20}_1$/)],
    ]);
    if (choice !== undefined) expectFit(choice);
    const prompt = promptOf();
    expect(prompt).toMatch(/^<\|im_start\|>system\n# Tools\n/);
    expect(prompt).toContain(JSON.stringify(weather));
    expect(prompt).toMatch(/<\/tool_call><\|im_end\|>\n<\|im_start\|>user\nhi<\|im_end\|>\n<\|im_start\|>assistant\n$/);
  });

  test("streams in OpenAI's order, and again from every event with the same ids", async () => {
    use({ reply: replyOf(bothCalls) });
    const whole = (await choices(await chat(ask)))[0]?.message;
    const streamed = await chat({ ...ask, stream: true });
    const stream = streamed.headers.get("x-spikingbrain-stream") ?? "";
    const lines = await payloads(streamed);
    expect(lines.at(-1)).toBe("[DONE]");
    const chunks = chunksOf(lines);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: "assistant", content: null });
    const made = assembled(chunks);
    const nameless = (calls: readonly Call[] | undefined) => calls?.map(({ function: called }) => called);
    expect(made).toMatchObject({ content: whole?.content, finish_reason: "tool_calls" });
    expect(nameless(made.tool_calls)).toEqual(nameless(whole?.tool_calls));
    const again = await (await request(`/v1/streams/${stream}`)).text();
    const ids = [...again.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? "");
    expect(ids).toHaveLength(new Set(ids).size);
    for (const at of [0, 11, 40, ids.length - 2]) {
      const rest = await payloads(await request(`/v1/streams/${stream}`, { headers: { "last-event-id": ids[at] ?? "" } }));
      expect(rest).toEqual(lines.slice(lines.length - rest.length));
      expect(rest).toHaveLength(lines.length - 2 - at);
    }
  });

  test.each<[string, Json, (names: readonly (readonly string[])[]) => boolean]>([
    ["required", { tool_choice: "required" }, (calls) => calls.length > 0],
    ["one at most", { tool_choice: "required", parallel_tool_calls: false }, (calls) => calls.length === 1],
    [
      "a named one",
      { tool_choice: { type: "function", function: { name: "weather" } } },
      (calls) => calls.length === 1 && calls[0]?.[0] === "weather",
    ],
    [
      "a strict one",
      { tools: [{ ...weather, function: { ...weather.function, strict: true } }], tool_choice: "required" },
      (calls) => calls.length > 0,
    ],
    [
      "with a response format beside it",
      { tool_choice: "required", response_format: { type: "json_object" } },
      (calls) => calls.length > 0,
    ],
  ])("%s: whatever the model would say, its arguments fit", async (_name, body, isRight) => {
    const warm = { ...ask, temperature: 1.4, seed: 3, n: 3, max_tokens: 2000, ...body };
    const made = await choices(await chat(warm));
    expect(made).toHaveLength(3);
    for (const choice of made) {
      expect(choice.message.content).toBeNull();
      expectFit(choice);
      expect(isRight(calledIn(choice)), JSON.stringify(choice)).toBe(true);
    }
    expect((await choices(await chat(warm))).map(calledIn)).toEqual(made.map(calledIn));
  });

  test("is one of eight at most, so that a model that repeats itself comes to an end", async () => {
    use({ reply: replyOf(Array.from({ length: 40 }, () => spoken("clock", "{}")).join("\n")) });
    for (const choice of ["auto", "required"]) {
      const [made] = await choices(await chat({ ...ask, max_tokens: 3000, tool_choice: choice }));
      expect([made?.finish_reason, made && calledIn(made)]).toEqual(["tool_calls", Array.from({ length: 8 }, () => ["clock", "{}"])]);
    }
  });

  test("that is not made leaves the text as it would have been", async () => {
    const text = "No <tool_cal, and \n no </tool_call>. \n";
    use({ reply: replyOf(text) });
    const [choice] = await choices(await chat(ask));
    expect([choice?.message.content, choice?.message.tool_calls, choice?.finish_reason]).toEqual([text, undefined, "stop"]);
    expect(assembled(chunksOf(await payloads(await chat({ ...ask, stream: true }))))).toEqual({ content: text, finish_reason: "stop" });
  });

  test("has none but the functions' names, and fits where the model wants otherwise", async () => {
    use({ reply: replyOf('<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>') });
    const [choice] = await choices(await chat(ask));
    if (choice !== undefined) expectFit(choice);
    expect(choice && calledIn(choice)[0]?.[0]).toBe("weather");
  });

  test("that an engine's death cuts goes on elsewhere as the same one", async () => {
    const warm = { ...ask, temperature: 1.2, seed: 5, tool_choice: "required", stream: true, parallel_tool_calls: false };
    const nameless = (message: ReturnType<typeof assembled>) => message.tool_calls?.map(({ function: called }) => called);
    const whole = nameless(assembled(chunksOf(await payloads(await chat(warm)))));
    expect(whole).toHaveLength(1);
    for (const token of [4, 30, 55]) {
      use({ breakAt: { token, how: "error" } });
      const streamed = chat(warm);
      await expect.poll(() => engine.calls.length).toBe(2);
      engine.script = { contextLength };
      expect(nameless(assembled(chunksOf(await payloads(await streamed))))).toEqual(whole);
    }
  });

  test("none: nothing is told, and all is text", async () => {
    use({ reply: replyOf(bothCalls) });
    const [choice] = await choices(await chat({ ...ask, tool_choice: "none" }));
    expect([choice?.message.content, choice?.finish_reason]).toEqual([bothCalls, "stop"]);
    expect(promptOf()).not.toContain("weather");
  });

  test("or an answer that fits a schema", async () => {
    const schema = { type: "object", properties: { a: { enum: [1, 2] } }, required: ["a"], additionalProperties: false };
    const format = { response_format: { type: "json_schema", json_schema: { name: "a", schema } } };
    use({ reply: replyOf('{"a":2}') });
    const [said] = await choices(await chat({ ...ask, ...format }));
    expect([said?.message.content, said?.finish_reason]).toEqual(['{"a":2}', "stop"]);
    use({ reply: replyOf(spoken("clock", "{}")) });
    const [called] = await choices(await chat({ ...ask, ...format }));
    expect(called && calledIn(called)).toEqual([["clock", "{}"]]);
  });

  test("that is cut by length or by a stop string is not told as whole", async () => {
    use({ reply: replyOf(bothCalls) });
    const [short] = await choices(await chat({ ...ask, max_tokens: replyOf(bothCalls.slice(0, bothCalls.indexOf(': "Rome'))).length }));
    expect([short && calledIn(short), short?.finish_reason]).toEqual([[["weather", '{"city"']], "length"]);
    const [nameless] = await choices(await chat({ ...ask, max_tokens: 30 }));
    expect([nameless?.message, nameless?.finish_reason]).toEqual([{ role: "assistant", content: "Let me see.", refusal: null }, "length"]);
    const [stopped] = await choices(await chat({ ...ask, stop: '"days"' }));
    expect([stopped && calledIn(stopped), stopped?.finish_reason]).toEqual([[["weather", '{"city": "Rome", ']], "stop"]);
  });

  test("has log-probabilities of all that was sampled, whole and streamed", async () => {
    use({ reply: replyOf(bothCalls) });
    const scored = { ...ask, logprobs: true, top_logprobs: 1 };
    const [choice] = await choices(await chat(scored));
    expect(choice?.logprobs?.content.map(({ token }) => token).join("")).toBe(bothCalls);
    const chunks = chunksOf(await payloads(await chat({ ...scored, stream: true })));
    const tokens = chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
    expect(tokens).toEqual(choice?.logprobs?.content);
  });
});
