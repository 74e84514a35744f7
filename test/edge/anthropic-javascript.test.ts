/** Anthropic's own JavaScript client, changed in nothing but its base URL. */
import Anthropic, { BadRequestError, NotFoundError } from "@anthropic-ai/sdk";
import { expect, test } from "vitest";
import { modelId, stackUrl } from "../support/edge-client.ts";

const client = new Anthropic({ baseURL: stackUrl, apiKey: "sk-any", maxRetries: 0 });
const asked = { model: modelId, max_tokens: 12, temperature: 0, messages: [{ role: "user" as const, content: "Say hello." }] };

const textOf = ({ content }: Anthropic.Message): string => content.map((block) => (block.type === "text" ? block.text : "")).join("");

test("a message, whole, streamed and by the client's streaming helper, is one answer", async () => {
  const whole = await client.messages.create(asked);
  expect(textOf(whole).length).toBeGreaterThan(0);
  expect(whole._request_id).toBe(whole.id.replace(/^msg_/, ""));

  const types: string[] = [];
  let text = "";
  for await (const event of await client.messages.create({ ...asked, stream: true })) {
    types.push(event.type);
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
  }
  expect(text).toBe(textOf(whole));
  expect([types[0], types[1], ...types.slice(-3)]).toEqual([
    ...["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"],
  ]);

  const runner = client.messages.stream({ ...asked, system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }] });
  const seen: string[] = [];
  runner.on("text", (delta) => seen.push(delta));
  const final = await runner.finalMessage();
  expect([seen.join(""), final.stop_reason === null]).toEqual([textOf(final), false]);
  expect(final.usage.output_tokens).toBeGreaterThan(0);
  const { model, messages } = asked;
  const { input_tokens: counted } = await client.messages.countTokens({ model, messages, system: "Be brief." });
  expect(final.usage.input_tokens + (final.usage.cache_read_input_tokens ?? 0)).toBe(counted);
});

test("tools: what is called fits, whole and by the client's helpers", async () => {
  const tools = [
    {
      name: "look_up",
      description: "Looks a word up.",
      input_schema: {
        type: "object" as const,
        properties: { word: { enum: ["sea", "land"] } },
        required: ["word"],
        additionalProperties: false,
      },
    },
  ];
  const choice = { ...asked, max_tokens: 200, tools, tool_choice: { type: "any" as const, disable_parallel_tool_use: true } };
  const whole = await client.messages.create(choice);
  const [use] = whole.content;
  if (use?.type !== "tool_use") throw new Error(JSON.stringify(whole));
  expect([whole.stop_reason, use.name]).toEqual(["tool_use", "look_up"]);
  expect(["sea", "land"]).toContain((use.input as { readonly word: string }).word);
  const streamed = await client.messages.stream(choice).finalMessage();
  expect(streamed.content).toMatchObject([{ type: "tool_use", name: "look_up", input: use.input }]);
  const next = await client.messages.create({
    ...asked,
    tools,
    tool_choice: { type: "none" },
    messages: [
      ...asked.messages,
      { role: "assistant", content: whole.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "It is wet." }] },
    ],
  });
  expect(textOf(next).length).toBeGreaterThan(0);
});

test("errors become the client's own classes", async () => {
  await expect(client.messages.create({ ...asked, model: "claude-none" })).rejects.toBeInstanceOf(NotFoundError);
  const refused = client.messages.create({ ...asked, thinking: { type: "enabled", budget_tokens: 1024 } });
  await expect(refused).rejects.toBeInstanceOf(BadRequestError);
  await expect(refused).rejects.toMatchObject({
    status: 400,
    error: { error: { type: "invalid_request_error" } },
    type: "invalid_request_error",
  });
});
