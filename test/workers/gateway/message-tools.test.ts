/** Tools in Anthropic's messages: what is called, whole and streamed, and what is told of what they gave. */
import { expect, test } from "vitest";
import { answerShapes } from "../../../workers/gateway/openapi/answers.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { chat, json, post, request } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { called, lookUp, message, messageEvents } from "../support/message-client.ts";
import { tinyTokenizer } from "../support/tiny-tokenizer.ts";

const promptOf = (call = 0): number[] => Array.from(engine.calls[call]?.prompt ?? []);

const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
/** The model is told of tools in more letters than the tiny model's context has. */
const use = (text: string) => {
  engine.use({ contextLength: 8192, reply: [...tokenizer.encode(text)] });
};
const call = '<tool_call>\n{"name": "look_up", "arguments": {"word": "sea"}}\n</tool_call>';
const asked = { tools: [lookUp], max_tokens: 300 };
const toolUse = { type: "tool_use", id: expect.stringMatching(/^call_\w+$/) as string, name: "look_up", input: { word: "sea" } };

test("are called in blocks, whole and streamed in parts of JSON", async () => {
  use(`Let me see.\n${call}\n${call}`);
  const answer = await (await message(asked)).json<{ content: object[] }>();
  answerShapes.Message.parse(answer);
  expect(answer).toMatchObject({ content: [{ type: "text", text: "Let me see." }, toolUse, toolUse], stop_reason: "tool_use" });
  use(`Let me see.\n${call}\n${call}`);
  const events = messageEvents(await (await message({ ...asked, stream: true })).text());
  const ofBlock = (index: number) => events.filter((event) => "index" in event && event.index === index);
  for (const index of [1, 2]) {
    const [start, ...rest] = ofBlock(index);
    expect(start).toMatchObject({ type: "content_block_start", content_block: { ...toolUse, input: {} } });
    expect(rest.at(-1)?.type).toBe("content_block_stop");
    expect(rest.map(({ delta }) => delta?.partial_json ?? "").join("")).toBe('{"word": "sea"}');
  }
  expect(ofBlock(0).at(-1)?.type).toBe("content_block_stop");
  expect(events.at(-2)).toMatchObject({ type: "message_delta", delta: { stop_reason: "tool_use" } });
});

test.each([{ type: "any" }, { type: "tool", name: "look_up" }, { type: "any", disable_parallel_tool_use: true }])(
  "are called where the choice is %j, whatever the model would say",
  async (choice) => {
    engine.use({ contextLength: 8192 });
    const { content, stop_reason: reason } = await (
      await message({ ...asked, tool_choice: choice, max_tokens: 2000 })
    ).json<{ content: { name?: string; input?: { word: string } }[]; stop_reason: string }>();
    expect([reason, content[0]?.name]).toEqual(["tool_use", "look_up"]);
    expect(["sea", "land"]).toContain(content[0]?.input?.word);
  },
);

test("numbers of arguments keep the digits that a double does not have, in answers and in histories", async () => {
  const digits = "9223372036854775807";
  const find = { name: "find", input_schema: { type: "object", properties: { id: { type: "integer" } }, required: ["id"] } };
  const given = `{"id": ${digits}}`;
  use(`<tool_call>\n{"name": "find", "arguments": ${given}}\n</tool_call>`);
  expect(await (await message({ ...asked, tools: [find] })).text()).toContain(`"input":{"id":${digits}}`);
  const body = JSON.stringify({
    ...{ model: "tiny", max_tokens: 8 },
    messages: [
      { role: "user", content: "Where?" },
      { role: "assistant", content: [{ type: "tool_use", id: "a", name: "find", input: { id: "@" } }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "a", content: "here" }] },
    ],
  });
  await request("/v1/messages", { ...json({}), body: body.replace('"@"', digits) });
  expect(tokenizer.decode(promptOf(1))).toContain(`{"id":${digits}}`);
});

test("and what they gave are the conversation that chat completions have", async () => {
  use("ok");
  const result = { type: "tool_result", tool_use_id: "call_1", content: [{ type: "text", text: "wet" }], is_error: true };
  const history = [
    { role: "user", content: "What is the sea?" },
    { role: "assistant", content: [{ type: "text", text: "Let me see." }, called] },
    { role: "user", content: [result, { type: "text", text: "So?" }] },
  ];
  await message({ tools: [lookUp], messages: history });
  const { name, description, input_schema: parameters } = lookUp;
  await chat({
    tools: [{ type: "function", function: { name, description, parameters } }],
    messages: [
      { role: "user", content: "What is the sea?" },
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: [{ id: "call_1", type: "function", function: { name, arguments: '{"word":"sea"}' } }],
      },
      { role: "tool", tool_call_id: "call_1", content: "Error: wet" },
      { role: "user", content: "So?" },
    ],
  });
  expect(promptOf(0)).toEqual(promptOf(1));
  const counted = await (await post("/v1/messages/count_tokens", { model: "tiny", tools: [lookUp], messages: history })).json();
  expect(counted).toEqual({ input_tokens: promptOf(0).length });
});

test("that are cut off by the length are in no whole message", async () => {
  use(call);
  expect(await (await message({ ...asked, max_tokens: 52 })).json()).toMatchObject({ content: [], stop_reason: "max_tokens" });
});
