// Runs in Chromium, on a page of another origin than the API's: what such a page does with fetch, EventSource and the OpenAI SDK.
import OpenAI from "openai";

export interface OtherSite {
  /** A streamed chat completion by `fetch`: its text, and the headers that a script may read. */
  readWithFetch(
    api: string,
    request: object,
  ): Promise<{ readonly text: string; readonly stream: string | null; readonly cache: string | null }>;
  /** The same stream again, from its beginning, by `EventSource`; rejects where that reports an error. */
  readWithEventSource(api: string, stream: string): Promise<string>;
  /** By OpenAI's client: an answer as a whole and streamed, the models, and the status and code of a refusal. */
  readWithSdk(api: string, request: OpenAI.ChatCompletionCreateParamsNonStreaming): Promise<SdkReading>;
}

interface SdkReading {
  readonly whole: string;
  readonly streamed: string;
  readonly models: readonly string[];
  readonly refusal: { readonly status: number | undefined; readonly code: string | null | undefined };
}

const dataField = "data: ";

function deltaOf(data: string): string {
  const chunk = JSON.parse(data) as OpenAI.ChatCompletionChunk;
  return chunk.choices[0]?.delta.content ?? "";
}

const otherSite: OtherSite = {
  async readWithFetch(api, request) {
    const response = await fetch(`${api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...request, stream: true }),
    });
    const lines = (await response.text()).split("\n").filter((line) => line.startsWith(dataField));
    if (lines.pop() !== `${dataField}[DONE]`) throw new Error(`status ${response.status}: no [DONE]`);
    const text = lines.map((line) => deltaOf(line.slice(dataField.length))).join("");
    return { text, stream: response.headers.get("x-spikingbrain-stream"), cache: response.headers.get("x-spikingbrain-cache") };
  },

  readWithEventSource(api, stream) {
    return new Promise((resolve, reject) => {
      const source = new EventSource(`${api}/v1/streams/${stream}`);
      let text = "";
      source.addEventListener("error", () => {
        source.close();
        reject(new Error("EventSource reported an error"));
      });
      source.addEventListener("message", ({ data }: MessageEvent<string>) => {
        if (data !== "[DONE]") return void (text += deltaOf(data));
        source.close();
        resolve(text);
      });
    });
  },

  async readWithSdk(api, request) {
    const client = new OpenAI({ baseURL: `${api}/v1`, apiKey: "sk-other-site", dangerouslyAllowBrowser: true, maxRetries: 0 });
    const whole = await client.chat.completions.create(request);
    let streamed = "";
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
      streamed += chunk.choices[0]?.delta.content ?? "";
    }
    const models: string[] = [];
    for await (const { id } of client.models.list()) models.push(id);
    const refusal = await client.chat.completions.create({ ...request, model: "none" }).then(
      () => ({ status: 200, code: null }),
      (error: unknown) => {
        if (!(error instanceof OpenAI.APIError)) throw error;
        return { status: error.status as number | undefined, code: error.code };
      },
    );
    return { whole: whole.choices[0]?.message.content ?? "", streamed, models, refusal };
  },
};

Object.assign(globalThis, { otherSite });
