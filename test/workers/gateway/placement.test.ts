/** Where an answer runs: a header on every answer, chunks and choices where it is asked for, and why for administrators alone. */
import { afterEach, expect, test, vi } from "vitest";
import { chat, chatChunks, complete, json, requestWith, type ChatChunk } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { spyOnLog } from "../support/log-spy.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

type PlacedChunk = ChatChunk & { readonly placement?: unknown };
const reply = bytesAsTokens("hello you");
const atEngine = (from: number) => ({ backend: "engine", kind: "engine", from_token: from });

afterEach(() => {
  vi.restoreAllMocks();
});

test.each([true, false])("every answer says which backend it began at; stream: %s", async (stream) => {
  engine.use({ reply });
  const answer = await chat({ stream });
  expect(answer.headers.get("x-spikingbrain-backend")).toBe("engine engine");
  expect(answer.headers.get("x-spikingbrain-plan")).toBeNull();
  expect(await answer.text()).not.toContain("placement");
});

test("a stream says where it runs when that is known, and again where it goes on after a failure", async () => {
  engine.use({ reply });
  const whole = await chatChunks(await chat({ stream: true }));
  engine.use({ reply, breakAt: { token: 4, how: "abort" } });
  const answered = chat({ stream: true, placement: true });
  await expect.poll(() => engine.calls.length).toBe(2);
  engine.script = { reply };
  const chunks = (await chatChunks(await answered)) as PlacedChunk[];
  const second = chunks.findIndex(({ placement }) => JSON.stringify(placement) === JSON.stringify(atEngine(4)));
  const told = (from: number, to?: number) =>
    chunks.slice(from, to).flatMap(({ placement }) => (placement === undefined ? [] : [placement]));
  // With the first token of each part for good, and before it where a reader is there already.
  expect(told(0, second).map((one) => JSON.stringify(one))).toContain(JSON.stringify(atEngine(0)));
  const again = told(second);
  expect(again).toEqual(again.map(() => atEngine(4)));
  expect(chunks.some(({ placement, choices: [choice] }) => placement !== undefined && (choice?.delta.content ?? "") !== "")).toBe(true);
  const text = (all: readonly ChatChunk[]) => all.map(({ choices: [choice] }) => choice?.delta.content ?? "").join("");
  expect(text(chunks)).toBe(text(whole));
});

test.each([
  ["chat", () => chat({ placement: true })],
  ["completions", () => complete({ placement: true, max_tokens: 3 })],
])("a whole answer of %s lists its parts", async (_name, ask) => {
  engine.use({ reply });
  const { choices } = await (await ask()).json<{ readonly choices: readonly object[] }>();
  expect(choices).toMatchObject([{ placements: [atEngine(0)] }]);
});

test("a backend that is asked again before it has brought more is one part of the answer, not two", async () => {
  engine.use({ reply, breakAt: { token: 4, how: "abort" } });
  const answered = chat({ placement: true });
  // The second and the third attempt break before the answer's fifth token.
  await expect.poll(() => engine.calls.length).toBe(3);
  engine.script = { reply };
  const { choices } = await (await answered).json<{ readonly choices: readonly { readonly placements: unknown }[] }>();
  expect(choices.map(({ placements }) => placements)).toEqual([[atEngine(0), atEngine(4)]]);
});

test("why it runs there is told to keys of ADMIN_KEYS, and logged", async () => {
  engine.use({ reply });
  const lines = spyOnLog();
  const ask = async (key: string) => {
    const body = { model: "tiny", messages: [{ role: "user", content: "hi" }] };
    const answer = await requestWith({ ADMIN_KEYS: "sk-admin" }, "/v1/chat/completions", json(body, { authorization: `Bearer ${key}` }));
    await answer.text();
    return answer.headers.get("x-spikingbrain-plan");
  };
  expect(await ask("sk-admin")).toMatch(/\w/);
  expect(await ask("sk-other")).toBeNull();
  const placed = lines.filter((line) => line.includes('"event":"generation_placed"'));
  expect(placed).toHaveLength(2);
  expect(JSON.parse(placed[0] ?? "")).toMatchObject({ job: 0, backend: "engine", kind: "engine", sampled: 0 });
});
