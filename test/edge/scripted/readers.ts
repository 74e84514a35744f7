/** The text of one streamed chat of the scripted stack, as each kind of client reads it. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";
import { createParser } from "eventsource-parser";
import OpenAI from "openai";
import { runPythonAsync } from "../../support/python.ts";

export const question = { model: "tiny", messages: [{ role: "user" as const, content: "hi" }], ignore_eos: true };

export const openai = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });

export async function readWithOpenAi(url: string, tokens: number): Promise<string> {
  let text = "";
  for await (const chunk of await openai(url).chat.completions.create({ ...question, stream: true, max_completion_tokens: tokens }))
    text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

/** `error`: what OpenAI's client raised. */
export async function readInPython(url: string, tokens: number): Promise<{ readonly text: string; readonly error: object | null }> {
  return JSON.parse(await runPythonAsync("test/edge/paused_stream.py", `${url}/v1`, "tiny", String(tokens))) as Awaited<
    ReturnType<typeof readInPython>
  >;
}

export async function readWithAiSdk(url: string, tokens: number): Promise<string> {
  const provider = createOpenAICompatible({ name: "edge", baseURL: `${url}/v1` });
  return await streamText({ model: provider.chatModel("tiny"), prompt: "hi", maxOutputTokens: tokens }).text;
}

export const contentOf = (data: string) =>
  (JSON.parse(data) as { choices: [{ delta: { content?: string } }] }).choices[0].delta.content ?? "";

/** With the parser that most libraries use: it must find nothing amiss, and no event but those of data. */
export async function readWithParser(response: Response): Promise<{ readonly text: string; readonly comments: number }> {
  const data: string[] = [];
  let comments = 0;
  const parser = createParser({
    onEvent: (event) => data.push(event.data),
    onComment: () => comments++,
    onError: (error) => {
      throw error;
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
  if (data.pop() !== "[DONE]") throw new Error("the last event is not [DONE]");
  return { text: data.map(contentOf).join(""), comments };
}
