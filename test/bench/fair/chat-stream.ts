/** One tenant's streamed chat that may be watched while it runs: when each of its tokens arrives. */
import { request as httpRequest, type ClientRequest } from "node:http";
import { until } from "../../../workers/waiting/within.ts";

/** Stands once in the bytes of every token that brings text. */
const tokenMark = '"delta":{"content":';
const doneMark = "data: [DONE]";
const pollMilliseconds = 5;
const patienceMilliseconds = 300_000;

export interface ChatOptions {
  readonly url: string;
  readonly model: string;
  /** Whoever holds it is the tenant. */
  readonly key: string;
  readonly maxTokens: number;
  /** Told to the model, so that no two chats are the same. */
  readonly topic: string;
}

export class ChatStream {
  /** When each token came, milliseconds of `performance.now()`. */
  readonly arrivals: number[] = [];
  readonly begin = performance.now();
  #ended: number | undefined;
  #failure: Error | undefined;
  readonly #request: ClientRequest;

  constructor({ url, model, key, maxTokens, topic }: ChatOptions) {
    const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
    this.#request = httpRequest(`${url}/v1/chat/completions`, { method: "POST", headers, agent: false }, (response) => {
      let rest = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (line.includes(tokenMark)) this.arrivals.push(performance.now());
          if (line.startsWith(doneMark)) this.#ended = performance.now();
          if (line.includes('"error":')) this.#fail(new Error(`a chat failed: ${line}`));
        }
      });
      response.once("end", () => {
        if (response.statusCode !== 200) this.#fail(new Error(`a chat was answered with status ${String(response.statusCode)}: ${rest}`));
        else if (this.#ended === undefined) this.#fail(new Error("a chat's stream has no end"));
      });
    });
    this.#request.once("error", (cause) => {
      this.#fail(cause);
    });
    // Of the same length whatever the model says.
    const generation = { model, max_tokens: maxTokens, temperature: 0, ignore_eos: true, stream: true };
    this.#request.end(JSON.stringify({ ...generation, messages: [{ role: "user", content: `Tell me a short story about ${topic}.` }] }));
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Tokens that came between two times. */
  tokensBetween(from: number, to: number): number {
    return this.arrivals.filter((at) => at >= from && at < to).length;
  }

  /** From the request to the end, once it has ended. */
  tokensPerSecond(): number {
    return (1000 * this.arrivals.length) / ((this.#ended ?? NaN) - this.begin);
  }

  /** @throws Error where the stream fails. */
  async untilFirstToken(): Promise<void> {
    await this.#until(() => this.arrivals.length > 0);
  }

  /** Milliseconds from the request to its first token and to its end. @throws Error where the stream fails. */
  async whole(): Promise<{ readonly firstToken: number; readonly total: number }> {
    await this.#until(() => this.#ended !== undefined);
    return { firstToken: (this.arrivals[0] ?? NaN) - this.begin, total: (this.#ended ?? NaN) - this.begin };
  }

  /** Leaves, whether it has ended or not. */
  close(): void {
    this.#fail(new Error("closed"));
    this.#request.destroy();
  }

  async #until(condition: () => boolean): Promise<void> {
    const look = (): true | undefined => {
      if (condition()) return true;
      if (this.#failure !== undefined) throw this.#failure;
      return undefined;
    };
    await until(look, { milliseconds: patienceMilliseconds, everyMilliseconds: pollMilliseconds }, () => {
      throw new Error(`a chat took longer than ${String(patienceMilliseconds / 1000)} s`);
    });
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
  }
}
