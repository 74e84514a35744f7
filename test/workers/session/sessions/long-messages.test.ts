/** Messages and answers of megabytes, in characters of three bytes, so that every cut into rows and chunks falls into some of them. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { bodyLimitBytes } from "../../../../workers/gateway/schema/limits.ts";
import { chatChunks, contentOf, failure, json, request, type Json } from "../../support/gateway-client.ts";
import { assets, engine } from "../../support/gateway-worker.ts";
import { SessionClient, user, type Message } from "../../support/session-client.ts";
import { bytesAsTokens, endOfTurn, tinyTokenizer } from "../../support/tiny-tokenizer.ts";
import { inSession, lose } from "./support.ts";

/** What one row may have on the platform. */
const longestRowBytes = 2_000_000;
/** Bytes of "語" as the alphabet writes them, twice as many with each merge: a few hundred tokens are megabytes. */
const [first = "", second = "", third = ""] = bytesAsTokens("語").map((id) => tinyTokenizer.tokens[id]);
const character = `${first}${second}${third}`;
const doublings = 13;
const word = "語".repeat(2 ** doublings);
const doubled = Array.from({ length: doublings }, (_unused, times) => character.repeat(2 ** times));
const added = [`${first}${second}`, ...doubled, character.repeat(2 ** doublings)];
const tokens = [...tinyTokenizer.tokens, ...added];
assets["/tiny/tokenizer.json"] = {
  ...tinyTokenizer,
  tokens,
  tokenTypes: [...tinyTokenizer.tokenTypes, ...added.map(() => 1)],
  merges: [...tinyTokenizer.merges, `${first} ${second}`, `${first}${second} ${third}`, ...doubled.map((half) => `${half} ${half}`)],
};

/** 3 MB and a little more. */
const words = 122;
/** The same bytes begun at each place in a character. */
const textAt = (shift: number) => "x".repeat(shift) + ` ${word}`.repeat(words);
const reply = [...bytesAsTokens("ab"), ...Array.from({ length: 100 }, () => tokens.length - 1)];
const answer = `ab${word.repeat(100)}`;

/** Megabytes take a busy machine their time. */
vi.setConfig({ testTimeout: 60_000 });

beforeEach(() => engine.use({ vocabularySize: tokens.length, reply: [...reply, endOfTurn] }));

const client = new SessionClient();
const ask = (body: Json) => request("/v1/chat/completions", json({ model: "tiny", ...body }, client.headers));
const wholeText = async (response: Response) =>
  (await response.json<{ choices: { message: { content: string } }[] }>()).choices[0]?.message.content;

/** Compared by whether they are equal: nobody reads a difference of megabytes. */
const isEqual = (text: string | undefined, expected: string) => text === expected;

async function engineRead(): Promise<string> {
  const prompt = Array.from(engine.calls.at(-1)?.prompt ?? []);
  return (await (await request("/detokenize", json({ tokens: prompt }))).json<{ prompt: string }>()).prompt;
}

async function transcript(session: string): Promise<Message[]> {
  const response = await client.call("GET", `/v1/sessions/${session}/turns`);
  return (await response.json<{ data: { messages: Message[] }[] }>()).data.flatMap(({ messages }) => messages);
}

describe.each([0, 1, 2])("a message of 3 MB, %i bytes further on", (shift) => {
  const text = textAt(shift);

  test("without a session: the engine reads all of it, and the answer comes whole, streamed, and again", async () => {
    expect(isEqual(await wholeText(await ask({ messages: [user(text)] })), answer)).toBe(true);
    expect((await engineRead()).includes(text)).toBe(true);
    const response = await ask({ messages: [user(text)], stream: true });
    expect(isEqual(contentOf(await chatChunks(response)), answer)).toBe(true);
    const stream = response.headers.get("x-spikingbrain-stream") ?? "";
    const again = await request(`/v1/streams/${stream}`, { headers: client.headers });
    expect(isEqual(contentOf(await chatChunks(again)), answer)).toBe(true);
  });

  test.each([false, true])(
    "as a turn of a session, streamed: %s: it is kept in rows that the platform has, and read back",
    async (stream) => {
      const { id } = await client.create();
      const response = await ask({ session_id: id, messages: [user(text)], stream });
      expect(response.status).toBe(200);
      expect(isEqual(stream ? contentOf(await chatChunks(response)) : await wholeText(response), answer)).toBe(true);
      expect((await engineRead()).includes(text)).toBe(true);
      await lose(client, id);
      const fork = await client.create({ from: { session_id: id } });
      for (const session of [id, fork.id]) {
        const messages = await transcript(session);
        expect(messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
        expect(isEqual(messages[0]?.content, text)).toBe(true);
        expect(isEqual(messages[1]?.content, answer)).toBe(true);
        const sizes = "SELECT length(CAST(messages AS BLOB)) AS size FROM turns UNION ALL SELECT length(bytes) FROM turn_messages";
        const rows = await inSession(client, session, ({ storage }) =>
          Array.from(storage.sql.exec<{ size: number }>(sizes), ({ size }) => size),
        );
        expect(Math.max(...rows)).toBeLessThanOrEqual(longestRowBytes);
      }
    },
  );
});

describe("a body of the most bytes", () => {
  /** Of that many bytes altogether: spaces in a field that means nothing make up for what is missing. */
  const bodyOf = (bytes: number, fields: Json) => {
    const body = (padding: string) => JSON.stringify({ model: "tiny", messages: [user(textAt(0))], ...fields, user: padding });
    const missing = bytes - new TextEncoder().encode(body("")).length;
    return body(" ".repeat(missing));
  };
  const send = (text: string) => request("/v1/chat/completions", { ...json({}, client.headers), body: text });

  test.each([false, true])("is answered, one byte more is refused with both numbers; in a session: %s", async (inSession) => {
    const fields = inSession ? { session_id: (await client.create()).id } : {};
    const response = await send(bodyOf(bodyLimitBytes, fields));
    expect(response.status).toBe(200);
    expect(isEqual(await wholeText(response), answer)).toBe(true);
    const refused = await send(bodyOf(bodyLimitBytes + 1, fields));
    expect(refused.status).toBe(413);
    const { code, message } = await failure(refused);
    expect(code).toBe("payload_too_large");
    expect(message).toMatch(
      new RegExp(`^The request body may have at most ${bodyLimitBytes} bytes; it has (${bodyLimitBytes + 1}|more)\\.$`),
    );
  });
});
