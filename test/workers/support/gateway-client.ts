/** Calls the gateway as clients do, and reads its streams to the byte. */
import { env, exports } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { createApp } from "../../../workers/gateway/app.ts";
import type { Environment } from "../../../workers/gateway/environment.ts";

export type Variables = Partial<
  Pick<
    Environment,
    "API_KEYS" | "ADMIN_KEYS" | "MODEL_ALIASES" | "MODEL_FALLBACKS" | "CORS_ORIGINS" | "KEEP_ALIVE_SECONDS" | "ASSETS" | "POOL" | "SESSION"
  >
>;
export type Json = Record<string, unknown>;

const gatewayOrigin = "https://gateway.test";
const app = createApp();

/** Through the Worker's own fetch handler. */
export function request(path: string, init: RequestInit = {}): Promise<Response> {
  const { default: worker } = exports as unknown as { default: { fetch(request: Request): Promise<Response> } };
  return worker.fetch(new Request(`${gatewayOrigin}${path}`, init));
}

/** With other variables than the configuration's. */
export async function requestWith(variables: Variables, path: string, init: RequestInit = {}): Promise<Response> {
  const environment = { ...(env as unknown as Environment), ...variables };
  return app.fetch(new Request(`${gatewayOrigin}${path}`, init), environment, createExecutionContext());
}

export function json(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
}

export const post = (path: string, body: unknown) => request(path, json(body));
export const chat = (body: Json) => post("/v1/chat/completions", { model: "tiny", messages: [{ role: "user", content: "hi" }], ...body });
export const complete = (body: Json) => post("/v1/completions", { model: "tiny", prompt: "hi", temperature: 0, ...body });

export interface ErrorAnswer {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string };
}

export async function failure(response: Response): Promise<ErrorAnswer["error"]> {
  return (await response.json<ErrorAnswer>()).error;
}

/** The payloads of a whole stream; throws what breaks the stream, with what came before in `cause`. */
export async function payloads(response: Response): Promise<string[]> {
  const text = await response.text();
  return dataLines(text);
}

export function dataLines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => line.slice("data: ".length));
}

/** What a stream carried until it ended, and whether that was a clean end. */
export async function readToEnd(response: Response): Promise<{ text: string; clean: boolean }> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
    return { text, clean: true };
  } catch {
    return { text, clean: false };
  }
}

export interface ChatChunk {
  readonly choices: readonly {
    readonly index: number;
    readonly delta: { readonly role?: string; readonly content?: string };
    readonly logprobs: { readonly content: readonly { readonly token: string; readonly bytes: number[] }[] } | null;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly total_tokens: number } | null;
}

export async function chatChunks(response: Response): Promise<ChatChunk[]> {
  const lines = await payloads(response);
  if (lines.at(-1) !== "[DONE]") throw new Error(`the stream ended with ${lines.at(-1) ?? "nothing"}`);
  return lines.slice(0, -1).map((line) => JSON.parse(line) as ChatChunk);
}

export const contentOf = (chunks: readonly ChatChunk[], index = 0): string =>
  chunks.flatMap((chunk) => chunk.choices.filter((choice) => choice.index === index).map((choice) => choice.delta.content ?? "")).join("");
