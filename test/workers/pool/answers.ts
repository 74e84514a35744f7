/** What is asked of replicas that break, and what a client gets of it. */
import { json, request, type Json } from "../support/gateway-client.ts";

/** How tokens are chosen. */
export const kinds: readonly (readonly [name: string, body: Json])[] = [
  ["greedy", { temperature: 0 }],
  ["by chance, with a seed", { temperature: 1.3, seed: 11, top_k: 40 }],
  ["with penalties", { temperature: 0.9, seed: 5, presence_penalty: 0.7, frequency_penalty: 0.4, repetition_penalty: 1.2 }],
  // Its hyphens follow without a choice.
  ["held to a pattern", { temperature: 1.3, seed: 3, ignore_eos: false, structured_outputs: { regex: "([a-z]{2}-){20}" } }],
  ["with log-probabilities", { temperature: 0, logprobs: true, top_logprobs: 2 }],
];

export interface Got {
  readonly chunks: readonly unknown[];
  readonly usage: unknown;
  /** The last event's data; the whole body of a refusal. */
  readonly end: string | undefined;
  readonly backend: string | null;
}

/** Of every answer. */
export const tokens = 12;

export async function ask(body: Json): Promise<Response> {
  const common = {
    model: "tiny",
    messages: [{ role: "user", content: "Ships?" }],
    max_tokens: tokens,
    ignore_eos: true,
    stream: true,
    stream_options: { include_usage: true },
  };
  return await request("/v1/chat/completions", json({ ...common, ...body }));
}

/** Text and log-probabilities by choice, without what differs between any two answers. */
export async function got(response: Response): Promise<Got> {
  const text = await response.text();
  const data = text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => line.slice("data: ".length));
  const chunks = data.slice(0, -1).map((line) => JSON.parse(line) as { choices: readonly unknown[]; usage?: unknown });
  return {
    chunks: chunks.filter(({ choices }) => choices.length > 0).map(({ choices }) => choices),
    usage: chunks.at(-1)?.usage,
    end: response.ok ? data.at(-1) : text,
    backend: response.headers.get("x-spikingbrain-backend"),
  };
}
