/** What counts as a takeover in `npm run bench -- pool`: the first token that a dead upstream had not sent. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { agentOf } from "../bench/http/connections.ts";
import { startUpstream } from "../bench/pool/participants.ts";
import { readStream, type Target } from "../bench/pool/stream-load.ts";
import { takeoverTimes, type Death } from "../bench/pool/takeover.ts";
import { answerTokens, chatTexts, firstId, now, tokensBefore } from "../bench/pool/upstream.ts";

const charactersOf = (tokens: number): number => chatTexts[tokens]?.length ?? 0;

/** A server of one stream. */
async function streamOf(write: (response: ServerResponse) => Promise<void>): Promise<Target> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    void write(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return { url, path: "/", headers: {}, body: () => ({}), texts: chatTexts };
}

const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
const token = (index: number): string => event({ choices: [{ delta: { content: `w${index} ` } }] });
const tokens = (from: number, to: number): string => Array.from({ length: to - from }, (_unused, at) => token(from + at)).join("");
const ended = event({ choices: [{ delta: {}, finish_reason: "length" }], usage: { completion_tokens: answerTokens } }) + "data: [DONE]\n\n";

test("tokens that the dead upstream had sent do not count, however late they come and wherever their events are cut", async () => {
  const deaths: Death[] = [];
  const target = await streamOf(async (response) => {
    response.write(token(0));
    await delay(20);
    deaths.push({ time: now(), tokens: tokensBefore });
    // What something on the way still held.
    response.write(tokens(1, tokensBefore));
    await delay(150);
    const next = token(tokensBefore);
    response.write(next.slice(0, 20));
    await delay(150);
    response.end(next.slice(20) + tokens(tokensBefore + 1, answerTokens) + ended);
  });
  const stream = await readStream(target, agentOf(1));
  expect(stream.ending).toBe("whole");
  const [time = 0, ...rest] = takeoverTimes(stream, deaths, charactersOf);
  expect(rest).toEqual([]);
  expect(time).toBeGreaterThan(280);
  expect(time).toBeLessThanOrEqual(stream.milliseconds);
});

test("deaths of other streams, and of one that got no further, take over nothing", () => {
  const stream = { since: 100, milliseconds: 50, arrivals: [3, 6, 9].map((characters, at) => ({ time: 110 + 10 * at, characters })) };
  const death = (time: number, characters: number): Death => ({ time, tokens: characters });
  const itself = (characters: number) => characters;
  expect(takeoverTimes(stream, [death(115, 3), death(116, 6), death(118, 9)], itself)).toEqual([5, 14]);
  expect(takeoverTimes(stream, [death(99, 0), death(151, 3)], itself)).toEqual([]);
});

test("a stream with other tokens than the answer's is not whole", async () => {
  const target = await streamOf((response) => {
    response.end(tokens(0, 5) + tokens(4, answerTokens) + ended);
    return Promise.resolve();
  });
  expect((await readStream(target, agentOf(1))).ending).toBe("short");
});

test.each([
  ["refuse", 0],
  ["cut", tokensBefore],
  ["end", tokensBefore],
  ["hang", tokensBefore],
])("an upstream that is to %s tells how much it had sent, of what it began and of what it goes on with", async (mode, sent) => {
  const { url, group } = await startUpstream();
  onTestFinished(() => group.stop());
  const post = (path: string, body: string, signal?: AbortSignal) =>
    fetch(`${url}${path}`, { method: "POST", body, ...(signal === undefined ? {} : { signal }) });
  const deaths = async () => (await (await fetch(`${url}/deaths`)).json()) as Death[];
  await post("/mode", mode);
  const ask = async (prompt: readonly number[], died: number) => {
    const leaving = new AbortController();
    const answer = post("/v1/completions", JSON.stringify({ model: "mock", prompt }), leaving.signal).then((response) => response.text());
    const read = answer.catch(() => undefined);
    await expect.poll(async () => (await deaths()).length).toBe(died);
    leaving.abort();
    await read;
  };
  const since = now();
  await ask([5, 7], 1);
  await ask([5, 7, firstId, firstId + 1, firstId + 2], 2);
  const all = await deaths();
  expect(all.map(({ tokens }) => tokens)).toEqual([sent, 3 + sent]);
  for (const { time } of all) expect(time).toBeGreaterThan(since);
  await post("/mode", mode);
  expect(await deaths()).toEqual([]);
});
