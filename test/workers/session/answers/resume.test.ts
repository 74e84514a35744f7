/** Streams that outlive their connection, and the object that runs them. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { streamObjectName } from "../../../../workers/session/ids/ids.ts";
import { dataLines, failure, json, request } from "../../support/gateway-client.ts";
import { engine } from "../../support/gateway-worker.ts";
import { bytesAsTokens } from "../../support/tiny-tokenizer.ts";

const aliceKey = "sk-alice";
const reply = "The quick brown fox jumps over the lazy dog.";

beforeEach(() => engine.use({ reply: bytesAsTokens(reply) }));

const ask = (body: Record<string, unknown> = {}, key = aliceKey) =>
  request(
    "/v1/chat/completions",
    json(
      { model: "tiny", messages: [{ role: "user", content: "hi" }], stream: true, stream_options: { include_usage: true }, ...body },
      { authorization: `Bearer ${key}` },
    ),
  );
const comeBack = (stream: string, lastEventId?: string, key = aliceKey) =>
  request(`/v1/streams/${stream}`, {
    headers: { authorization: `Bearer ${key}`, ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }) },
  });
const stop = (stream: string, key = aliceKey) =>
  request(`/v1/streams/${stream}`, { method: "DELETE", headers: { authorization: `Bearer ${key}` } });
const idOf = (response: Response) => response.headers.get("x-spikingbrain-stream") ?? "none";

/** Reads until so many events with ids have come, then leaves. */
async function readSome(response: Response, events: number): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  while (eventsOf(text).length < events) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the stream ended early");
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  return eventsOf(text).slice(0, events).join("\n\n");
}

/** Comments may stand before an event: they end none. */
const blocksOf = (text: string) =>
  text
    .replaceAll(/^:.*\n/gm, "")
    .split("\n\n")
    .slice(0, -1);
const eventsOf = (text: string) => blocksOf(text).filter((block) => block.startsWith("id: "));
const lastId = (text: string) => eventsOf(`${text}\n\n`).at(-1)?.split("\n")[0]?.slice("id: ".length) ?? "none";
/** What differs from one answer to another replaced. */
const bare = (text: string, stream: string) =>
  text
    .replaceAll(stream, "S")
    .replaceAll(/chatcmpl-[0-9a-f-]+/g, "ID")
    .replaceAll(/"created":\d+/g, '"created":0');

async function uninterrupted(body: Record<string, unknown> = {}): Promise<string[]> {
  const response = await ask(body, "sk-somebody");
  return eventsOf(bare(await response.text(), idOf(response)));
}

describe("a client that comes back", () => {
  test.each([1, 7, 30])("after %i events gets every event once, in order, with the end", async (count) => {
    const whole = await uninterrupted();
    engine.use({ reply: bytesAsTokens(reply), delayMilliseconds: 3 });
    const response = await ask();
    const first = await readSome(response, count);
    const again = await comeBack(idOf(response), lastId(first));
    expect(again.status).toBe(200);
    const rest = await again.text();
    expect(eventsOf(bare(`${first}\n\n${rest}`, idOf(response)))).toEqual(whole);
    expect(dataLines(rest).filter((line) => line === "[DONE]")).toHaveLength(1);
  });

  test("with several choices gets them in the order they came", async () => {
    engine.use({ replies: ["one two three", "four five six", "seven eight"].map(bytesAsTokens), delayMilliseconds: 2 });
    const response = await ask({ n: 3 });
    const stream = idOf(response);
    const first = await readSome(response, 9);
    const again = await comeBack(stream, lastId(first));
    const events = eventsOf(`${first}\n\n${await again.text()}`);
    expect(events.map((event) => Number(/^id: .*\.(\d+)/.exec(event)?.[1]))).toEqual(events.map((_event, at) => at + 1));
    expect(eventsOf(await (await comeBack(stream)).text())).toEqual(events);
  });

  test("after the end, or with another connection open, reads the same", async () => {
    const response = await ask();
    const stream = idOf(response);
    const text = await response.text();
    expect(await (await comeBack(stream)).text()).toBe(text);
    const last = lastId(text);
    expect(dataLines(await (await comeBack(stream, last)).text())).toEqual(["[DONE]"]);
  });

  test("too late finds that the answer was given up, and the engine free", async () => {
    engine.use({ delayMilliseconds: 5 });
    const response = await ask({ max_tokens: 400, ignore_eos: true });
    const first = await readSome(response, 3);
    await expect.poll(() => engine.running).toBe(0);
    expect(engine.generatedTokens).toBeLessThan(300);
    const again = await comeBack(idOf(response), lastId(first));
    const text = await readText(again);
    expect(JSON.parse(dataLines(text).at(-1) ?? "")).toMatchObject({ error: { code: "cancelled" } });
  });

  test("is told nothing of another's stream, nor of one that was never made", async () => {
    const response = await ask();
    await response.text();
    const others = await comeBack(idOf(response), undefined, "sk-mallory");
    const unknown = await comeBack(crypto.randomUUID());
    expect([others.status, unknown.status]).toEqual([404, 404]);
    const told = await failure(others);
    expect(told).toMatchObject({ message: "There is no such stream, or it belongs to another key, or it has expired." });
    expect(told).toEqual(await failure(unknown));
    expect((await stop(idOf(response), "sk-mallory")).status).toBe(404);
  });

  test.each([true, false])(
    "with an id that the stream never sent is refused by name, rule and value; while it runs: %s",
    async (isRunning) => {
      engine.use({ reply: bytesAsTokens(reply), ...(isRunning ? { delayMilliseconds: 200 } : {}) });
      const [response, other] = [await ask(), await ask()];
      const [stream, otherStream] = [idOf(response), idOf(other)];
      const text = await readSome(response, isRunning ? 1 : reply.length);
      const beyond = isRunning ? 40 : 999;
      const numbers = [beyond, "-1", "1.5", "x", "", "0", "01", "+1", "1e1", " 1", "0x1", 2 ** 53, "9".repeat(400), "Infinity", "NaN"];
      const wrong = ["7", ".7", "other.7", stream, `${otherStream}.1`, `${stream}.1.1`, ...numbers.map((number) => `${stream}.${number}`)];
      for (const id of wrong) {
        const again = await comeBack(stream, id);
        expect([id, again.status]).toEqual([id, 400]);
        const { param, message } = await failure(again);
        expect(param).toBe("Last-Event-ID");
        expect(message).toMatch(
          new RegExp(
            `^'Last-Event-ID': must be the id of an event that this stream has sent \\('${stream}.1' to '${stream}.\\d+'\\); it is `,
          ),
        );
        expect(message).toContain(id.slice(0, 100));
      }
      const honest = await comeBack(stream, lastId(text));
      expect(honest.status).toBe(200);
      await honest.body?.cancel();
      await other.body?.cancel();
      await stop(stream);
      await stop(otherStream);
    },
  );
});

test("stopping ends the answer as if it had ended there", async () => {
  engine.use({ delayMilliseconds: 5 });
  const response = await ask({ max_tokens: 400, ignore_eos: true });
  await expect.poll(() => engine.generatedTokens).toBeGreaterThan(3);
  expect((await stop(idOf(response))).status).toBe(204);
  const lines = dataLines(await response.text());
  expect(lines.at(-1)).toBe("[DONE]");
  expect(JSON.parse(lines.at(-3) ?? "")).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  const { usage } = JSON.parse(lines.at(-2) ?? "") as { usage: { completion_tokens: number } };
  expect(usage.completion_tokens).toBeGreaterThan(3);
  expect(usage.completion_tokens).toBeLessThan(300);
  await expect.poll(() => engine.running).toBe(0);
});

describe("an object that is lost while it runs", () => {
  test.each([1, 12, 40])("after %i events: the answer goes on without a gap or a repeat", async (count) => {
    const whole = await uninterrupted();
    engine.use({ reply: bytesAsTokens(reply), delayMilliseconds: 4 });
    const response = await ask();
    const stream = idOf(response);
    const first = await readSome(response, count);
    await lose(stream);
    const rest = await readText(await comeBack(stream, lastId(first)));
    expect(eventsOf(bare(`${first}\n\n${rest}`, stream))).toEqual(whole);
  });

  test("and whose answer then fails before where its client was: the client is told why, and a forged id is refused", async () => {
    engine.use({ reply: bytesAsTokens(reply), delayMilliseconds: 2 });
    const response = await ask({ max_tokens: 60 });
    const stream = idOf(response);
    const first = await readSome(response, 12);
    await lose(stream);
    engine.use({ reply: bytesAsTokens(reply), breakAt: { token: 2, how: "error" } });
    for (const attempt of ["while it runs", "after its end"]) {
      const again = await comeBack(stream, lastId(first));
      expect([attempt, again.status]).toEqual([attempt, 200]);
      const [only, ...more] = dataLines(await readText(again));
      expect([attempt, more]).toEqual([attempt, []]);
      expect(JSON.parse(only ?? "null")).toMatchObject({ error: { code: "engine_unavailable" } });
    }
    expect((await comeBack(stream, `${stream}.999`)).status).toBe(400);
  });

  test("and whose answer is then stopped before where its client was: the client is told so, and reads the rest from its beginning", async () => {
    engine.use({ reply: bytesAsTokens(reply), delayMilliseconds: 2 });
    // Nothing of it is written, however slow the machine is.
    await onEveryDisk(fullTable("log"));
    const response = await ask({ max_tokens: 60 });
    const stream = idOf(response);
    const first = await readSome(response, 12);
    await lose(stream);
    await onEveryDisk("DROP TRIGGER full");
    engine.use({ reply: bytesAsTokens(reply), delayMilliseconds: 400 });
    const running = comeBack(stream, lastId(first));
    await expect.poll(async () => (await running).status).toBe(200);
    expect((await stop(stream)).status).toBe(204);
    for (const again of [await running, await comeBack(stream, lastId(first))]) {
      const [only, ...more] = dataLines(await readText(again));
      expect(more).toEqual([]);
      const { error } = JSON.parse(only ?? "null") as { error: { message: string } };
      expect(error).toMatchObject({ code: "conflict", param: "Last-Event-ID" });
      expect(error.message).toMatch(new RegExp(`it is '${lastId(first)}', and the stream was interrupted and ended at '${stream}\\.\\d+'`));
    }
    const whole = dataLines(await (await comeBack(stream)).text());
    expect(whole.at(-1)).toBe("[DONE]");
    expect(JSON.parse(whole.at(-3) ?? "null")).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  });

  test("with several choices: what a client has seen is not told otherwise", async () => {
    engine.use({ replies: ["one two three", "four five six", "seven eight"].map(bytesAsTokens), delayMilliseconds: 5 });
    const response = await ask({ n: 3 });
    const stream = idOf(response);
    const first = await readSome(response, 6);
    await lose(stream);
    const rest = await readText(await comeBack(stream, lastId(first)));
    const events = eventsOf(`${first}\n\n${rest}`);
    expect(eventsOf(await readText(await comeBack(stream)))).toEqual(events);
  });
});

describe("objects whose disk is full", () => {
  test.each([
    ["orders", 404],
    ["log", 200],
  ])("for the table '%s': the answer is whole, and coming back is %i", async (table, status) => {
    const whole = await uninterrupted();
    await onEveryDisk(fullTable(table));
    try {
      engine.use({ reply: bytesAsTokens(reply) });
      const response = await ask();
      expect(eventsOf(bare(await response.text(), idOf(response)))).toEqual(whole);
      await expect.poll(() => engine.running).toBe(0);
      expect((await comeBack(idOf(response))).status).toBe(status);
    } finally {
      await onEveryDisk("DROP TRIGGER full");
    }
  });
});

const fullTable = (table: string) => `CREATE TRIGGER full BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'full'); END`;

/** Of every object that may run a stream here. */
async function onEveryDisk(statement: string): Promise<void> {
  const { STREAM_OBJECT } = env as unknown as { STREAM_OBJECT: DurableObjectNamespace };
  for (let number = 0; number < 16; number++) {
    await runInDurableObject(STREAM_OBJECT.getByName(`edge${String(number).padStart(2, "0")}`), (_object, state) => {
      state.storage.sql.exec(statement);
    });
  }
}

/** At once, with everything that it had in memory. */
async function lose(stream: string): Promise<void> {
  const { STREAM_OBJECT } = env as unknown as { STREAM_OBJECT: DurableObjectNamespace };
  const call = runInDurableObject(STREAM_OBJECT.getByName(streamObjectName(stream) ?? ""), (_object, state) => {
    state.abort("lost");
  });
  await expect(call).rejects.toThrow("lost");
}

async function readText(response: Response): Promise<string> {
  let text = "";
  try {
    for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk as Uint8Array);
  } catch {
    // An error event ends in a broken connection.
  }
  return text;
}
