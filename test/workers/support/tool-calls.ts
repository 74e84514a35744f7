/** Functions that a model may call, in requests, histories and answers; the model of these tests and what it was told. */
import { expect } from "vitest";
import * as z from "zod";
import { engine } from "./gateway-worker.ts";
import { type Json } from "./gateway-client.ts";
import { tinyTokenizer } from "./tiny-tokenizer.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

/** The model is told of functions in more letters than the tiny model's context has, and reads one token a letter. */
export const contextLength = 8192;
export const use = (script: Parameters<typeof engine.use>[0] = {}) => {
  engine.use({ contextLength, ...script });
};

const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
/** As forced tokens have it, which are the text's own. */
export const replyOf = (text: string) => [...tokenizer.encode(text)];
export const promptOf = (call = -1) => tokenizer.decode(engine.calls.at(call)?.prompt ?? []);

export const parameters = {
  type: "object",
  properties: { city: { enum: ["Rome", "Oslo"] }, days: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["city", "days"],
  additionalProperties: false,
};
export const weather = { type: "function", function: { name: "weather", description: "Tells the weather.", parameters } };
export const clock = { type: "function", function: { name: "clock" } };
export const tools = [weather, clock];
export const fits: Record<string, z.ZodType> = {
  weather: z.strictObject({ city: z.enum(["Rome", "Oslo"]), days: z.int().min(1).max(9) }),
  clock: z.strictObject({}),
};
export const ask: Json = { max_tokens: 300, temperature: 0, tools };

export const spoken = (name: string, given: string) => `<tool_call>\n{"name": "${name}", "arguments": ${given}}\n</tool_call>`;
export const rome = '{"city": "Rome", "days": 3}';
export const bothCalls = `Let me see.\n${spoken("weather", rome)}\n${spoken("clock", "{}")}`;

export interface Call {
  readonly id: string;
  readonly type: string;
  readonly function: { readonly name: string; readonly arguments: string };
}
export interface Choice {
  readonly message: { readonly content: string | null; readonly tool_calls?: readonly Call[] };
  readonly logprobs: { readonly content: readonly { readonly token: string }[] } | null;
  readonly finish_reason: string;
}
export async function choices(response: Response): Promise<readonly Choice[]> {
  const body = await response.json<{ choices: Choice[] }>();
  expect([response.status, body]).toEqual([200, expect.objectContaining({ object: "chat.completion" })]);
  return body.choices;
}
export const calledIn = ({ message }: Choice) => (message.tool_calls ?? []).map(({ function: called }) => [called.name, called.arguments]);
export function expectFit(choice: Choice): void {
  expect(choice.finish_reason).toBe("tool_calls");
  for (const [name = "", given = ""] of calledIn(choice))
    expect(fits[name]?.safeParse(JSON.parse(given)), given).toMatchObject({ success: true });
}

export const asked = { role: "user", content: "How warm?" };
export const calledBoth = {
  role: "assistant",
  content: null,
  tool_calls: [
    { id: "one", type: "function", function: { name: "weather", arguments: rome } },
    { id: "two", type: "function", function: { name: "clock", arguments: "{}" } },
  ],
};
export const result = (id: string, content: unknown = id) => ({ role: "tool", tool_call_id: id, content });
