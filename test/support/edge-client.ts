/** Plain HTTP against the running stack. */
import { inject } from "vitest";

export const stackUrl = inject("stackUrl");
export const modelId = inject("modelId");

export type Json = Record<string, unknown>;

export function post(path: string, body: Json, signal?: AbortSignal): Promise<Response> {
  return fetch(`${stackUrl}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

export const complete = (body: Json, signal?: AbortSignal) => post("/v1/completions", { model: modelId, temperature: 0, ...body }, signal);

export interface Completion {
  readonly choices: readonly {
    readonly text: string;
    readonly finish_reason: string | null;
    readonly logprobs: {
      readonly tokens: string[];
      readonly token_logprobs: (number | null)[];
      readonly top_logprobs: (Record<string, number> | null)[];
      readonly text_offset: number[];
    } | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
}

export async function completionText(body: Json): Promise<string> {
  const response = await complete(body);
  if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`);
  return ((await response.json()) as Completion).choices[0]?.text ?? "";
}

/** The text of a streamed completion; throws unless it ends with `[DONE]`. */
export async function streamedText(body: Json): Promise<string> {
  const response = await complete({ ...body, stream: true });
  const text = await response.text();
  const lines = text.split("\n").filter((line) => line.startsWith("data: "));
  if (response.status !== 200 || lines.pop() !== "data: [DONE]") throw new Error(`status ${response.status}: ${text.slice(-300)}`);
  return lines.map((line) => (JSON.parse(line.slice("data: ".length)) as Completion).choices[0]?.text ?? "").join("");
}
