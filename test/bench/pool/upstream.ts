/**
 * A server of a model that computes nothing: streams of {@link answerTokens} tokens, in the two dialects that routers speak, and on demand streams
 * that go wrong. Run as a program: `upstream.ts PORT`. `POST /mode` sets what happens from then on; `GET /count` tells how many were asked for, and
 * `GET /deaths` when those that went wrong did, and what of the answer had been sent by then.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { isMain } from "../../../infra/local/run.ts";
import type { Death } from "./takeover.ts";

export const answerTokens = 16;
/** Tokens that have come before a stream goes wrong. */
export const tokensBefore = 5;

/**
 * `refuse`: the connection is cut before the first byte. `cut`: it is cut in the middle of the stream. `hang`: the stream comes to a halt.
 * `end`: it ends properly, without saying that the answer does.
 */
export const modes = ["good", "refuse", "cut", "hang", "end"] as const;
export type Mode = (typeof modes)[number];

interface Body {
  readonly model: string;
  /** Token ids, at `/v1/completions`. */
  readonly prompt?: readonly number[];
}

/** Of the answer's first token, at `/v1/completions`; that of each other is one more. */
export const firstId = 1000;
let mode: Mode = "good";
let asked = 0;
/** Of streams that went wrong since the mode was set. */
let deaths: Death[] = [];

const word = (index: number): string => `w${index} `;

/** What a client of `/v1/chat/completions` reads of so many tokens of an answer, of none to all. */
export const chatTexts: readonly string[] = Array.from({ length: answerTokens + 1 }, (_unused, tokens) =>
  Array.from({ length: tokens }, (_token, index) => word(index)).join(""),
);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = await textOf(request);
  switch (request.url ?? "") {
    case "/mode":
      mode = text as Mode;
      asked = 0;
      deaths = [];
      response.end();
      return;
    case "/deaths":
      response.end(JSON.stringify(deaths));
      return;
    case "/count":
      response.end(String(asked));
      return;
    case "/v1/completions":
    case "/v1/chat/completions":
      asked += 1;
      await stream(request.url ?? "", JSON.parse(text) as Body, response);
      return;
    case "/v1/models":
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ object: "list", data: [{ id: "mock", object: "model", created: 0, owned_by: "bench" }] }));
      return;
    default:
      response.setHeader("content-type", "application/json");
      response.end("{}");
  }
}

async function stream(path: string, body: Body, response: ServerResponse): Promise<void> {
  const how = mode;
  const isChat = path === "/v1/chat/completions";
  const first = begun(body);
  if (how === "refuse") {
    deaths.push({ time: now(), tokens: first });
    response.destroy();
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let index = first; index < answerTokens; index++) {
    if (how !== "good" && index === first + tokensBefore) {
      // What was written is on its way by then. A halt is one from the last token on.
      if (how !== "hang") await delay(50);
      deaths.push({ time: now(), tokens: index });
      if (how === "cut") response.destroy();
      else if (how === "end") response.end();
      return;
    }
    send(response, isChat ? chatChunk(body, { content: word(index) }, null) : completionChunk(body, index));
    // Each token in a chunk of its own, as a model would send them.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const usage = {
    prompt_tokens: body.prompt?.length ?? 0,
    completion_tokens: answerTokens,
    total_tokens: answerTokens + (body.prompt?.length ?? 0),
  };
  if (isChat) send(response, chatChunk(body, {}, "length"));
  send(response, { ...chatChunk(body, {}, null), choices: [], usage });
  response.end("data: [DONE]\n\n");
}

/** Unix milliseconds, with a fraction. */
export const now = (): number => performance.timeOrigin + performance.now();

/** How much of the answer the prompt ends with: another upstream has begun it. */
function begun({ prompt = [] }: Body): number {
  const last = (prompt.at(-1) ?? 0) - firstId;
  return last >= 0 && last < answerTokens ? last + 1 : 0;
}

function send(response: ServerResponse, chunk: object): void {
  response.write(`data: ${JSON.stringify(chunk)}\n\n`);
}

function chatChunk({ model }: Body, delta: object, finish: string | null) {
  return { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model, choices: [{ index: 0, delta, finish_reason: finish }] };
}

function completionChunk({ model }: Body, index: number) {
  const choice = {
    index: 0,
    text: "",
    token_ids: [firstId + index],
    logprobs: null,
    finish_reason: index === answerTokens - 1 ? "length" : null,
    stop_reason: null,
  };
  return { id: "cmpl-1", object: "text_completion", created: 1, model, choices: [choice] };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  return text;
}

if (isMain(import.meta.url)) {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(process.argv[2]), "127.0.0.1", () => {
    process.stdout.write("ready\n");
  });
}
