/** Two models served side by side: same token ids, other text, so that whatever mixes them up shows. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { streamObjectName } from "../../../workers/session/ids/ids.ts";
import { chat, chatChunks, complete, contentOf, failure, json, post, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { SessionClient, user } from "../support/session-client.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

const reply = "abc DEF";
const swapped = "ABC def";

beforeEach(() => engine.use({ reply: bytesAsTokens(reply), delayMilliseconds: 1 }));

const contentOfAnswer = async (response: Response) =>
  (await response.json<{ model: string; choices: { message: { content: string } }[] }>()).choices[0]?.message.content;

describe("a request names its model", () => {
  test("and each answers in its own text, also at the same time", async () => {
    const answers = await Promise.all(["tiny", "swapped", "tiny", "swapped"].map((model) => chat({ model, stream: true })));
    const texts = await Promise.all(answers.map(async (answer) => contentOf(await chatChunks(answer))));
    expect(texts).toEqual([reply, swapped, reply, swapped]);
    expect(engine.calls.map(({ model }) => model.id).sort()).toEqual(["swapped", "swapped", "tiny", "tiny"]);
  });

  test("by which the prompt is tokenized", async () => {
    const tokenize = async (model: string) =>
      (await (await post("/tokenize", { model, prompt: "Hi" })).json<{ tokens: number[] }>()).tokens;
    expect(await tokenize("swapped")).toEqual(bytesAsTokens("hI"));
    expect(await tokenize("tiny")).toEqual(bytesAsTokens("Hi"));
    await complete({ model: "swapped", prompt: "Hi", max_tokens: 1 });
    expect(Array.from(engine.calls[0]?.prompt ?? [])).toEqual(bytesAsTokens("hI"));
  });

  test("or it is refused, with what there is", async () => {
    const response = await chat({ model: "huge" });
    expect(response.status).toBe(404);
    expect(await failure(response)).toMatchObject({
      code: "model_not_found",
      param: "model",
      message: "The model 'huge' does not exist. Served here: 'tiny', 'swapped', 'plain'.",
    });
  });

  test.each([
    ["chat", chat],
    ["completions", (body: Json) => post("/v1/completions", { prompt: "hi", ...body })],
  ])("and what the request leaves out of sampling is the model's: %s", async (_name, send) => {
    const sampling = async (body: Json) => {
      engine.use({ reply: bytesAsTokens(reply) });
      const response = await send({ max_tokens: 2, ...body });
      await response.text();
      expect(response.status).toBe(200);
      return engine.calls[0]?.sampling;
    };
    const own = { temperature: 0.2, topP: 0.9, topK: 40, minP: 0.05, repetitionPenalty: 1.1 };
    expect(await sampling({ model: "swapped" })).toMatchObject(own);
    expect(await sampling({ model: "swapped", temperature: null, top_p: null })).toMatchObject(own);
    expect(await sampling({ model: "swapped", temperature: 1 })).toMatchObject({ ...own, temperature: 1 });
    expect(await sampling({ model: "tiny" })).toMatchObject({ temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1 });
  });

  test("all are listed, each with what its backend says", async () => {
    const { data } = await (
      await request("/v1/models")
    ).json<{ data: { id: string; digest: string; defaults: { temperature: number } }[] }>();
    expect(data.map(({ id }) => id)).toEqual(["tiny", "swapped", "plain"]);
    expect(data.map(({ defaults }) => defaults.temperature)).toEqual([1, 0.2, 1]);
    expect(new Set(data.map(({ digest }) => digest)).size).toBe(3);
  });
});

describe("what is kept belongs to its model", () => {
  const client = new SessionClient();

  test("a session goes on with its own and no other", async () => {
    const session = await client.create({ model: "swapped" });
    const say = (body: Json) =>
      client.call("POST", "/v1/chat/completions", { session_id: session.id, messages: [user("hi")], temperature: 0, ...body });
    expect(await contentOfAnswer(await say({ model: "swapped" }))).toBe(swapped);
    const refused = await say({ model: "tiny" });
    expect(refused.status).toBe(400);
    expect((await failure(refused)).message).toContain("the session was made with the model 'swapped'");
    const fork = await client.call("POST", "/v1/sessions", { model: "tiny", from: { session_id: session.id } });
    expect(fork.status).toBe(400);
    expect((await failure(fork)).param).toBe("model");
  });

  test("a state of one is never found for the other", async () => {
    const first = bytesAsTokens("x".repeat(100));
    const ask = async (model: string, prompt: readonly number[]) => {
      const response = await request("/v1/completions", json({ model, prompt, max_tokens: 4, temperature: 0 }, client.headers));
      await response.text();
      return response.headers.get("x-spikingbrain-cache");
    };
    await ask("tiny", first);
    const goesOn = [...first, ...bytesAsTokens("abc "), ...bytesAsTokens("y")];
    expect(await ask("swapped", goesOn)).toMatch(/^miss/);
    expect(await ask("tiny", goesOn)).toMatch(/^hit/);
  });

  test("a stream is read again in the text of the model that made it", async () => {
    const response = await request(
      "/v1/chat/completions",
      json({ model: "swapped", messages: [user("hi")], stream: true }, client.headers),
    );
    const stream = response.headers.get("x-spikingbrain-stream") ?? "";
    expect(contentOf(await chatChunks(response))).toBe(swapped);
    expect(contentOf(await chatChunks(await request(`/v1/streams/${stream}`, { headers: client.headers })))).toBe(swapped);
  });

  test("a stream that another deployment's tokenizer would read wrongly is refused, not decoded", async () => {
    const response = await request(
      "/v1/chat/completions",
      json({ model: "swapped", messages: [user("hi")], stream: true }, client.headers),
    );
    const stream = response.headers.get("x-spikingbrain-stream") ?? "";
    await response.text();
    // As the object finds it after a deployment under which the id means another tokenizer.
    const { STREAM_OBJECT } = env as unknown as { STREAM_OBJECT: DurableObjectNamespace };
    await runInDurableObject(STREAM_OBJECT.getByName(streamObjectName(stream) ?? ""), (_object, { storage }) => {
      const changed = storage.sql.exec(
        "UPDATE orders SET text = CAST(replace(CAST(text AS TEXT), ?, ?) AS BLOB) WHERE stream = ?",
        ...["4".repeat(64), "5".repeat(64), stream],
      );
      expect(changed.rowsWritten).toBeGreaterThan(0);
    });
    const again = await request(`/v1/streams/${stream}`, { headers: client.headers });
    expect(again.status).toBe(404);
    expect(await failure(again)).toMatchObject({ code: "model_not_found", message: expect.stringContaining("another version") as string });
  });
});
