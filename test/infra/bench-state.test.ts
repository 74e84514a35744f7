import { createHash } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { quantile } from "../bench/report/statistics.ts";
import { Client } from "../bench/state/client.ts";
import { findContext, whenRead } from "../bench/state/contexts.ts";
import { inventConversations } from "../bench/state/conversations.ts";
import { readSettings } from "../bench/state/settings.ts";
import { tokensOfText } from "../bench/state/text.ts";
import { inRepository } from "../../infra/local/paths.ts";

test("settings come from the environment, and a wrong one is named", () => {
  expect(readSettings({})).toEqual({
    histories: [1000, 4000, 16_000],
    conversations: 200,
    parts: ["resume", "sessions", "lengths", "costs", "replay", "misses"],
    textFile: null,
  });
  const asked = readSettings({ STATE_HISTORIES: "256000, 1000,1000", STATE_CONVERSATIONS: "3", STATE_PARTS: "costs", STATE_TEXT: "a.txt" });
  expect(asked).toEqual({ histories: [1000, 256_000], conversations: 3, parts: ["costs"], textFile: "a.txt" });
  expect(() => readSettings({ STATE_HISTORIES: "1000,," })).toThrow(
    'STATE_HISTORIES must be made of whole numbers from 64 to 4000000; one is ""',
  );
  expect(() => readSettings({ STATE_CONVERSATIONS: "0" })).toThrow(
    'STATE_CONVERSATIONS must be made of whole numbers from 1 to 10000; one is "0"',
  );
  expect(() => readSettings({ STATE_PARTS: "resume,nothing" })).toThrow('one is "nothing"');
});

test("a text has exactly as many tokens as asked for, or is refused", () => {
  const characters = { encode: (text: string) => Uint32Array.from(text, (character) => character.charCodeAt(0)) };
  const file = inRepository("test/bench/state/text.ts");
  expect(String.fromCharCode(...tokensOfText(characters, 16, file))).toBe("/** Where histor");
  expect(() => tokensOfText(characters, 1_000_000, file)).toThrow(/must have at least 1000000 tokens; it has \d+\./);
});

test("conversations are the same at every run, with two to five turns over a few system prompts", () => {
  const conversations = inventConversations(200, 7);
  expect(conversations).toEqual(inventConversations(200, 7));
  expect(new Set(conversations.map(({ system }) => system)).size).toBe(4);
  expect(new Set(conversations.map(({ turns }) => turns.length))).toEqual(new Set([2, 3, 4, 5]));
});

test("a quantile is a value that was measured", () => {
  const hundred = Array.from({ length: 100 }, (_unused, at) => 100 - at);
  expect([quantile(hundred, 0.5), quantile(hundred, 0.99), quantile(hundred, 1), quantile([3], 0.01)]).toEqual([50, 99, 100, 3]);
  expect(() => quantile([1], 0)).toThrow("(0, 1]; it is 0");
  expect(() => quantile([], 0.5)).toThrow("at least one value");
});

/** A client of a server that answers every request like this, and the keys that came. */
async function clientOf(
  answer: (response: ServerResponse, path: string) => void,
  key: string | null,
): Promise<{ client: Client; keys: unknown[] }> {
  const keys: unknown[] = [];
  const server = createServer((request, response) => {
    keys.push(request.headers.authorization);
    request.resume();
    answer(response, request.url ?? "");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new Client(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, key);
  onTestFinished(() => {
    client.close();
    server.close();
  });
  return { client, keys };
}

const usage = 'data: {"choices":[],"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":7}}}\n\n';

test("an answer is timed to its first text, and read to its end", async () => {
  let between = 0;
  const { client, keys } = await clientOf((response) => {
    const begin = performance.now();
    response.writeHead(200, { "x-spikingbrain-cache": "hit; tokens=7" });
    response.write('data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\nda');
    setTimeout(() => {
      between = performance.now() - begin;
      response.end(`ta: {"choices":[{"delta":{"content":"so"}}]}\n\n${usage}data: [DONE]\n\n`);
    }, 40);
  }, "sk-1");
  const answer = await client.stream("/", {});
  expect(answer).toMatchObject({ text: "so", promptTokens: 9, cachedTokens: 7, cache: "hit; tokens=7" });
  // Not at the role, which comes at once.
  expect(answer.firstToken).toBeGreaterThanOrEqual(between);
  expect(keys).toEqual(["Bearer sk-1"]);
});

test("what is not streamed is JSON, whatever was sent", async () => {
  const { client } = await clientOf((response) => response.writeHead(201).end('{"id":"ctx_1"}'), "sk-1");
  expect(await client.json("POST", "/", "a document")).toEqual({ id: "ctx_1" });
  const refused = await clientOf((response) => response.writeHead(404).end("no such thing"), "sk-1");
  await expect(refused.client.json("GET", "/x")).rejects.toThrow("GET /x: status 404: no such thing");
});

test("an answer that is refused, fails or ends early is no measurement", async () => {
  const ask = async (status: number, body: string) =>
    (await clientOf((response) => response.writeHead(status).end(body), null)).client.stream("/", {});
  await expect(ask(429, "too many\nrequests")).rejects.toThrow("/: status 429: too many\nrequests");
  await expect(ask(200, 'data: {"error":{"message":"lost"}}\n\n')).rejects.toThrow("the stream failed: lost");
  await expect(ask(200, `${usage}data: [DONE]\n\n`)).rejects.toThrow("must bring text");
  await expect(ask(200, `data: {"choices":[{"text":"a"}]}\n\n${usage}`)).rejects.toThrow("must bring text");
});

test("a document is found again by its text, on whatever list page, unless its reading has failed", async () => {
  const name = `bench ${createHash("sha256").update("a document").digest("hex").slice(0, 16)}`;
  const context = (id: string, stage: "ready" | "failed", model = "m") => ({
    id,
    name,
    model,
    tokens: 9,
    ingest: { stage, read_tokens: 4, error: { message: "lost" } },
  });
  const listPages: Readonly<Record<string, object>> = {
    "/v1/contexts?limit=100": { data: [context("ctx_1", "failed"), context("ctx_2", "ready", "other")], has_more: true },
    "/v1/contexts?limit=100&after=ctx_2": { data: [context("ctx_3", "ready")], has_more: false },
  };
  const { client } = await clientOf((response, path) => response.end(JSON.stringify(listPages[path])), "sk-1");
  expect(await findContext(client, "m", "another document")).toBeUndefined();
  const found = await findContext(client, "m", "a document");
  expect(found?.id).toBe("ctx_3");
  expect(await whenRead(client, context("ctx_3", "ready"), () => undefined)).toEqual({ id: "ctx_3", tokens: 9 });
  await expect(whenRead(client, context("ctx_1", "failed"), () => undefined)).rejects.toThrow("reading it failed after 4 tokens: lost");
});
