/** A client of the API as any other: one streamed answer at a time, timed. */
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";

export interface Answer {
  /** Milliseconds from the request until the first text is here. */
  readonly firstToken: number;
  readonly text: string;
  readonly promptTokens: number;
  /** Prompt tokens whose state was there. */
  readonly cachedTokens: number;
  /** `x-spikingbrain-cache`. */
  readonly cache: string;
}

/** The part of a chunk that is read. */
interface Chunk {
  readonly choices?: readonly { readonly text?: string; readonly delta?: { readonly content?: string | null } }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  } | null;
  readonly error?: { readonly message: string };
}

/** What is repeated of an answer that is an error. */
const keptErrorCharacters = 500;

export class Client {
  readonly #url: string;
  readonly #key: string | null;
  readonly #agent = new Agent({ keepAlive: true });

  /** Without a key nothing is kept of what it asks. */
  constructor(url: string, key: string | null) {
    this.#url = url;
    this.#key = key;
  }

  /** @throws Error unless the answer is whole: status 200, some text, usage and the stream's end. */
  async stream(path: string, body: object): Promise<Answer> {
    const begin = performance.now();
    const response = await this.#send("POST", path, { ...body, stream: true, stream_options: { include_usage: true } });
    let firstToken: number | undefined;
    let text = "";
    let usage: Chunk["usage"];
    let ended = false;
    for await (const data of dataLines(response, path)) {
      if (data === "[DONE]") {
        ended = true;
        continue;
      }
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error !== undefined) throw new Error(`${path}: the stream failed: ${chunk.error.message}`);
      const [choice] = chunk.choices ?? [];
      const delta = choice?.text ?? choice?.delta?.content ?? "";
      if (delta !== "") firstToken ??= performance.now() - begin;
      text += delta;
      usage = chunk.usage ?? usage;
    }
    if (!ended || firstToken === undefined || usage === undefined || usage === null)
      throw new Error(`${path}: the stream must bring text, usage and an end; it brought ${JSON.stringify({ text, usage, ended })}`);
    return {
      firstToken,
      text,
      promptTokens: usage.prompt_tokens,
      cachedTokens: usage.prompt_tokens_details.cached_tokens,
      cache: String(response.headers["x-spikingbrain-cache"]),
    };
  }

  /** What is answered to a request that is not streamed; a body that is text is sent as `text/plain`. @throws Error unless the status is 2xx. */
  async json<T>(method: string, path: string, body?: object | string): Promise<T> {
    const response = await this.#send(method, path, body);
    const text = await textOf(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: status ${String(status)}: ${text.slice(0, keptErrorCharacters)}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(method: string, path: string, body: object | string | undefined): Promise<IncomingMessage> {
    const isText = typeof body === "string";
    const headers = {
      ...(body === undefined ? {} : { "content-type": isText ? "text/plain" : "application/json" }),
      ...(this.#key === null ? {} : { authorization: `Bearer ${this.#key}` }),
    };
    return new Promise((resolve, reject) => {
      const request = httpRequest(`${this.#url}${path}`, { method, agent: this.#agent, headers }, resolve);
      request.once("error", reject);
      request.end(body === undefined || isText ? body : JSON.stringify(body));
    });
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response as AsyncIterable<string>) text += chunk;
  return text;
}

/** What stands behind `data:`; everything that is answered here is one line each. */
async function* dataLines(response: IncomingMessage, path: string): AsyncGenerator<string, void, undefined> {
  if (response.statusCode !== 200) {
    const text = await textOf(response);
    throw new Error(`${path}: status ${String(response.statusCode)}: ${text.slice(0, keptErrorCharacters)}`);
  }
  response.setEncoding("utf8");
  let rest = "";
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice("data: ".length);
  }
}
