import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { readStatic } from "./static-files.ts";

/** What the fake server does with one chat request. */
export type Reply =
  | {
      readonly kind: "stream";
      readonly deltas: readonly string[];
      readonly intervalMs?: number;
      /** What the stream waits for before its last text, so that a test can look at the middle of an answer for as long as it likes. */
      readonly gate?: Promise<unknown>;
      /** `hang` keeps the stream open for ever, `cut` ends it without [DONE], `reset` breaks the connection. */
      readonly ending?: "done" | "cut" | "reset" | "hang" | { readonly error: object };
      readonly finishReason?: "stop" | "length";
      readonly usage?: {
        readonly prompt_tokens: number;
        readonly completion_tokens: number;
        readonly spikes?: object;
        readonly state?: object;
      };
      /** What each text's chunk says of the spikes so far. */
      readonly spikes?: readonly object[];
      /** What each text's chunk says of the state. */
      readonly states?: readonly object[];
      /** What chunks without text say of the state while the prompt is read. */
      readonly reading?: readonly object[];
      /** What the stream waits for between reading and its first text. */
      readonly readGate?: Promise<unknown>;
    }
  | { readonly kind: "error"; readonly status: number; readonly body: object | string; readonly headers?: Record<string, string> }
  /** Says nothing at all. */
  | { readonly kind: "silence" };

export interface ChatBody {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly [field: string]: unknown;
}

export interface FakeApi {
  readonly url: string;
  /** Bodies of the chat requests so far. */
  readonly requests: ChatBody[];
  /** Chat requests that the client closed before their answer was whole. */
  aborts: number;
  contextLength: number;
  /** What the model's card says besides. */
  card: object;
  /** Replies to the next chat requests, in order; without any, a short answer. */
  readonly replies: Reply[];
  /** Paths asked for that nobody serves. */
  readonly unknownPaths: string[];
  reset(): void;
  close(): Promise<void>;
}

export const MODEL = "spikingbrain-135m";
const DEFAULT_REPLY: Reply = { kind: "stream", deltas: ["Hello", ", ", "world", "."] };

/** A scripted API with the built page in front of it: it answers what a test says, not what a model would. */
export async function startFakeApi(directory: string): Promise<FakeApi> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const api: FakeApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    aborts: 0,
    contextLength: 2048,
    card: {},
    replies: [],
    unknownPaths: [],
    reset() {
      for (const list of [api.requests, api.replies, api.unknownPaths]) list.length = 0;
      api.aborts = 0;
      api.contextLength = 2048;
      api.card = {};
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", api.url);
    if (pathname === "/v1/chat/completions") return chat(request, response);
    if (pathname === "/v1/models") {
      sendJson(response, 200, { object: "list", data: [{ id: MODEL, object: "model", max_model_len: api.contextLength, ...api.card }] });
      return;
    }
    if (pathname === "/tokenize") {
      const { messages } = JSON.parse(await readBody(request)) as ChatBody;
      const count = messages.reduce((sum, message) => sum + 4 + message.content.split(/\s+/).length, 0);
      sendJson(response, 200, { count, max_model_len: api.contextLength, tokens: [] });
      return;
    }
    const file = await readStatic(directory, pathname);
    if (file === null) {
      api.unknownPaths.push(pathname);
      sendJson(response, 404, { error: { message: `no such path ${pathname}` } });
      return;
    }
    response.writeHead(200, file.headers).end(file.content);
  }

  async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    api.requests.push(JSON.parse(await readBody(request)) as ChatBody);
    const reply = api.replies.shift() ?? DEFAULT_REPLY;
    response.on("close", () => {
      if (!response.writableFinished) api.aborts += 1;
    });
    if (reply.kind === "silence") return;
    if (reply.kind === "stream") return stream(response, reply);
    if (typeof reply.body === "string") response.writeHead(reply.status, reply.headers).end(reply.body);
    else sendJson(response, reply.status, reply.body, reply.headers);
  }

  return api;
}

async function stream(response: ServerResponse, reply: Extract<Reply, { kind: "stream" }>): Promise<void> {
  const { deltas, intervalMs = 5, ending = "done", finishReason = "stop" } = reply;
  const usage = reply.usage ?? { prompt_tokens: 12, completion_tokens: deltas.length };
  const send = (choices: object[], more: object = {}) =>
    response.write(`data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", model: MODEL, choices, ...more })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": keep-alive\n\n");
  send([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]);
  for (const state of reply.reading ?? []) send([{ index: 0, delta: { content: "" }, finish_reason: null }], { state });
  await reply.readGate;
  for (const [index, content] of deltas.entries()) {
    await sleep(intervalMs);
    if (index === deltas.length - 1) await reply.gate;
    if (response.destroyed) return;
    const [spikes, state] = [reply.spikes?.[index], reply.states?.[index]];
    const more = { ...(spikes === undefined ? {} : { spikes }), ...(state === undefined ? {} : { state }) };
    send([{ index: 0, delta: { content }, finish_reason: null }], more);
  }
  if (ending === "hang") return;
  if (ending === "reset") {
    // Breaking the connection at once would also drop what is still on its way.
    await sleep(100);
    response.destroy();
    return;
  }
  if (typeof ending === "object") {
    response.end(`data: ${JSON.stringify({ error: ending.error })}\n\n`);
    return;
  }
  if (ending === "done") {
    send([{ index: 0, delta: {}, finish_reason: finishReason }]);
    send([], { usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } });
    response.write("data: [DONE]\n\n");
  }
  response.end();
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return body;
}

function sendJson(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}
