/** Requests whose cost is compared: each is made through the gateway or around it. */

export interface BenchRequest {
  /** Short name in a record. */
  readonly name: string;
  readonly path: string;
  /** Sent as JSON by POST; a GET where there is none. */
  readonly body?: object;
}

/** One whose answer is {@link streamedTokens} tokens, one after another. */
export interface StreamRequest extends BenchRequest {
  /** Stands once in the bytes of every token that brings text. */
  readonly tokenMark: string;
  /** How a whole answer of {@link streamedTokens} tokens ends. */
  readonly end: RegExp;
}

export function isStream(request: BenchRequest): request is StreamRequest {
  return "tokenMark" in request;
}

export const streamedTokens = 64;

export const emptyRequest: BenchRequest = { name: "no gateway", path: "/direct/empty" };
export const healthRequest: BenchRequest = { name: "/health", path: "/health" };

/** 1 KB of prose. */
export function tokenizeRequest(model: string): BenchRequest {
  const prose = "Streams of tokens come from the edge of the network, one after another, and nobody waits for long. ";
  return { name: "/tokenize", path: "/tokenize", body: { model, prompt: prose.repeat(11).slice(0, 1000) } };
}

const messages = [{ role: "user", content: "Tell me a short story about a lighthouse keeper and the sea." }] as const;

/** Greedy, and of the same length whatever the model says. */
const generation = { max_tokens: streamedTokens, temperature: 0, ignore_eos: true };

export function chatRequest(model: string): StreamRequest {
  return {
    name: "/v1/chat/completions",
    path: "/v1/chat/completions",
    body: { ...generation, model, messages, stream: true, stream_options: { include_usage: true } },
    tokenMark: '"delta":{"content":',
    end: new RegExp(`"completion_tokens":${streamedTokens},[^]*data: \\[DONE\\]\n\n$`),
  };
}

/** The same generation without the gateway: it takes the token ids that the gateway makes of the chat. */
export async function directRequest(url: string, model: string): Promise<StreamRequest> {
  const response = await fetch(`${url}/tokenize`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages }),
  });
  if (!response.ok) throw new Error(`/tokenize answered ${response.status}: ${await response.text()}`);
  const { tokens } = (await response.json()) as { readonly tokens: readonly number[] };
  return {
    name: "engine alone",
    path: "/direct/generate",
    body: { prompt: tokens, maxTokens: streamedTokens },
    tokenMark: '"type":"token"',
    end: new RegExp(`"type":"finish".*"completionTokens":${streamedTokens},.*\n$`),
  };
}
