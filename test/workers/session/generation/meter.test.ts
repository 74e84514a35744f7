/** Every token that a backend reads or samples is counted, whatever it is for. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { chat } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { SessionClient } from "../../support/session-client.ts";
import { bytesAsTokens } from "../../support/tiny-tokenizer.ts";
import { dropStates } from "../sessions/support.ts";

interface Metered {
  readonly event: string;
  readonly work: string;
  readonly model: string;
  readonly attempts: number;
  readonly readTokens: number;
  readonly cachedTokens: number;
  readonly sampledTokens: number;
}

let lines: Metered[] = [];

beforeEach(() => {
  lines = [];
  vi.spyOn(console, "info").mockImplementation((line: unknown) => {
    const entry = typeof line === "string" && line.startsWith("{") ? (JSON.parse(line) as Metered) : undefined;
    if (entry?.event === "tokens_metered") lines.push(entry);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const asked = () => engine.calls.reduce((sum, { prompt }) => sum + prompt.length, 0);

test("an answer, with what a second attempt reads again", async () => {
  engine.use({ reply: bytesAsTokens("hello you"), breakAt: { token: 4, how: "error" } });
  const answer = await chat({});
  expect(answer.status).toBe(503);
  engine.use({ reply: bytesAsTokens("hello you") });
  await (await chat({})).text();
  await expect.poll(() => lines.length).toBe(2);
  const [failed, whole] = lines;
  // The backend breaks before the answer's fifth token, however often it is tried; only the first attempt samples.
  expect(failed).toMatchObject({ work: "answer", model: "tiny", sampledTokens: 4 });
  expect(failed?.attempts).toBeGreaterThan(1);
  expect(whole).toMatchObject({ work: "answer", attempts: 1, readTokens: asked(), cachedTokens: 0, sampledTokens: 9 });
});

test("what a backend has read again in place of the state that it was given is not cached, for the client and for the meter", async () => {
  const alice = new SessionClient();
  engine.use({});
  const { id } = await alice.create();
  await alice.say(id, "Ships in harbours, and what they carry.");
  const kept = await alice.say(id, "And then?");
  expect(kept.cached).toBeGreaterThan(0);
  engine.use({ readsStatesAgain: true });
  const { cached, prompt } = await alice.say(id, "And then?");
  expect(cached).toBe(0);
  await expect.poll(() => lines.length).toBe(3);
  expect(lines[1]).toMatchObject({ attempts: 1, readTokens: kept.prompt - kept.cached, cachedTokens: kept.cached });
  expect(lines[2]).toMatchObject({ attempts: 1, readTokens: prompt, cachedTokens: 0 });
});

test("a document, and a conversation that is read again", async () => {
  const alice = new SessionClient();
  engine.use({});
  const { id } = await alice.createContext();
  await alice.upload(id, "offset=0&last=true", "Ships in harbours. ".repeat(20));
  await expect.poll(async () => (await alice.facts(id)).ingest?.stage).toBe("ready");
  const document = lines.filter(({ work }) => work === "document");
  expect(document.reduce((sum, { readTokens }) => sum + readTokens, 0)).toBe((await alice.facts(id)).tokens);

  const { id: session } = await alice.create({ from: { context_id: id } });
  await dropStates(alice);
  await alice.say(session, "Ships?");
  const rebuilt = lines.filter(({ work }) => work === "rebuild");
  expect(rebuilt.reduce((sum, { readTokens }) => sum + readTokens, 0)).toBeGreaterThan(0);
  expect(lines.filter(({ work }) => work === "answer")).toHaveLength(1);
});
