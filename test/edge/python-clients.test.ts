/** Libraries that people build on clients of OpenAI's and Anthropic's APIs, used as their users would, changed in nothing but the address. */
import { expect, test } from "vitest";
import { modelId, stackUrl } from "../support/edge-client.ts";
import { runClient } from "../support/python.ts";
import { compliant } from "./clients/compliance.ts";

/** What a program of `test/edge/clients` prints; it says too where else it would have gone. */
async function report(program: string): Promise<object> {
  const { elsewhere, ...found } = JSON.parse(await runClient(`test/edge/clients/${program}.py`, stackUrl, modelId)) as Record<
    string,
    unknown
  >;
  expect(elsewhere).toEqual([]);
  return found;
}

/** They all run at the same time: most of a program's own is that its libraries load. A busy machine may take its time. */
const patient = { timeout: 240_000 };
const words = expect.stringMatching(/\S/) as string;
const told = expect.stringMatching(/ degrees in /) as string;
const weather = ["weather", true];

test.concurrent("LangChain: chats, streams, objects, calls, and all of it over responses", patient, async () => {
  const found = await report("langchain_client");
  const { whole, usage } = found as { whole: string; usage: [number, number] };
  expect(found).toEqual({
    ...{ whole: words, streamed: whole, later: [whole, whole], usage: [usage[1], usage[1]] },
    ...{ parsed: { json_schema: true, function_calling: true }, both: [true, null], partly: true },
    ...{ called: [weather], streamed_call: true, finish: "tool_calls", given: told, answered: true },
    ...{ responded: [whole, whole], followed: true, chosen: [weather], held: true },
  });
});

test.concurrent("LlamaIndex: chats, streams, objects, calls, and responses", patient, async () => {
  const found = await report("llama_index_client");
  const { whole } = found as { whole: string };
  expect(found).toEqual({
    ...{ whole: words, streamed: whole, later: whole, completed: true, by_call: true, by_schema: true },
    ...{ called: [weather], streamed_call: true, used: told, responded: [whole, whole], followed: true },
  });
});

test.concurrent("instructor: objects by calls and by schemas, whole and in parts, also of Anthropic's messages", patient, async () => {
  const found = { tool_call: true, tools_strict: true, json_schema_mode: true, responses: true, messages: true };
  expect(await report("instructor_client")).toEqual({ found, last: true, completion: "stop" });
});

test.concurrent(
  "openai-agents: an agent with a tool, whole and streamed, and one with an output's type, over chats and responses",
  patient,
  async () => {
    const run = {
      ...{ whole: told, streamed: true },
      ...{ kinds: ["tool_call_item", "tool_call_output_item"], planned: true },
    };
    expect(await report("agents_client")).toEqual({ chats: run, responses: run });
  },
);

test.concurrent("Anthropic's own client: messages, streams, tools and their runner, objects, counts, errors", patient, async () => {
  const found = await report("anthropic_client");
  const { whole } = found as { whole: string };
  expect(found).toEqual({
    ...{ whole: words, streamed: [whole, whole], later: whole, counted: true, parsed: true },
    kinds: ["message_start", "content_block_stop", "message_delta", "message_stop"],
    ...{ steps: ["tool_use", "tool_use"], given: 2, called: [weather], streamed_call: true, parts: true },
    errors: { model: ["NotFoundError", 404], thinking: ["BadRequestError", 400] },
  });
});

test.concurrent("what the compliance test of Open Responses asks, held to the types of its document", patient, async () => {
  expect(await report("open_responses")).toEqual(compliant);
});
