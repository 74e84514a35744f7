import { beforeEach, describe, expect, test } from "vitest";
import { chat, failure, json, post, request, requestWith } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { scriptedFailure } from "../support/toy-backend.ts";
import { bytesAsTokens, endOfTurn, idOf } from "../support/tiny-tokenizer.ts";

beforeEach(() => engine.use({ reply: bytesAsTokens("ok") }));

const body = { model: "tiny", messages: [{ role: "user", content: "hi" }] };

describe("bodies", () => {
  test.each<readonly [name: string, init: RequestInit, status: number, code: string]>([
    [
      "another content type",
      { method: "POST", body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } },
      415,
      "unsupported_media_type",
    ],
    ["no content type", { method: "POST", body: new TextEncoder().encode("{}") }, 415, "unsupported_media_type"],
    [
      "a compressed body",
      { ...json(body), headers: { "content-type": "application/json", "content-encoding": "gzip" } },
      415,
      "unsupported_media_type",
    ],
    ["broken JSON", { method: "POST", body: '{"model":', headers: { "content-type": "application/json" } }, 400, "invalid_request"],
    [
      "broken UTF-8",
      { method: "POST", body: Uint8Array.of(0x22, 0xff, 0x22), headers: { "content-type": "application/json" } },
      400,
      "invalid_request",
    ],
    ["an array", json([]), 400, "invalid_request"],
    ["nothing", { method: "POST", headers: { "content-type": "application/json" } }, 400, "invalid_request"],
    [
      "deep nesting",
      { method: "POST", body: `{"model":${"[".repeat(200_000)}${"]".repeat(200_000)}}`, headers: { "content-type": "application/json" } },
      400,
      "invalid_request",
    ],
    ["more than 4 MiB", json({ ...body, user: "x".repeat(4 * 1024 * 1024) }), 413, "payload_too_large"],
  ])("%s", async (_name, init, status, code) => {
    const response = await request("/v1/chat/completions", init);
    expect(response.status).toBe(status);
    expect((await failure(response)).code).toBe(code);
  });

  test("a body of unknown length is counted while it is read, and no further", async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(32));
        if (sent > 64 * 1024 * 1024) controller.close();
      },
    });
    const response = await request("/v1/chat/completions", {
      method: "POST",
      body: endless,
      headers: { "content-type": "application/json" },
    });
    expect(response.status).toBe(413);
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  test("JSON with a charset and just under the limit is fine", async () => {
    const init = json({ ...body, user: "x".repeat(4 * 1024 * 1024 - 500) }, { "content-type": "application/json; charset=utf-8" });
    expect((await request("/v1/chat/completions", init)).status).toBe(200);
  });
});

describe("routes", () => {
  test.each(["/v1", "/v1/", "/v1/nothing", "/v1/chat/completions/", "//v1/chat/completions", "/V1/models", "/v1/engines", "/anything"])(
    "%s is a 404 in OpenAI's shape",
    async (path) => {
      const response = await request(path);
      expect(response.status).toBe(404);
      expect(await failure(response)).toMatchObject({ code: "not_found", type: "invalid_request_error", param: null });
    },
  );

  test.each([
    ["GET", "/v1/chat/completions", "POST"],
    ["DELETE", "/v1/models", "GET, HEAD"],
    ["PUT", "/tokenize", "POST"],
    ["POST", "/health", "GET, HEAD"],
    ["OPTIONS", "/v1/completions", "POST"],
  ])("%s %s is a 405 that allows %s", async (method, path, allow) => {
    const response = await request(path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe(allow);
    expect((await failure(response)).code).toBe("method_not_allowed");
  });

  test("models: the list, one, and one that does not exist", async () => {
    const card = {
      id: "tiny",
      object: "model",
      created: 1_700_000_000,
      owned_by: "tests",
      max_model_len: 512,
      context: { unlimited: true, trained_tokens: 512 },
      ...{ status: "ready", reason: null, runs_on: ["engine", "pool"], served_by: ["engine"], aliases: [] },
      form: {
        summary: "linear attention + window 16 in 2 layers, full attention in 1 layer",
        layers: [
          { mixer: "linear+window", feed_forward: "dense", count: 2 },
          { mixer: "full", feed_forward: "moe", count: 1 },
        ],
        window: 16,
        kept_tokens: 0,
        learned_sinks: 1,
        salient_tokens: null,
      },
      state: { bytes: 1088, constant: true, keys_and_values: "f32", full_attention_bytes_per_token: 384 },
      spiking: "paper",
      defaults: { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 },
      parameters: 0,
      license: "apache-2.0",
      weights: null,
      teacher: { name: "Big", url: "https://example.com/big", license: null, digest: `sha256:${"1".repeat(64)}` },
      digest: `sha256:${"0".repeat(64)}`,
      tokenizer_digest: `sha256:${"2".repeat(64)}`,
      decisions: null,
      download: null,
    };
    const list = await (await request("/v1/models")).json<{ object: string; data: readonly unknown[] }>();
    expect({ ...list, data: list.data[0] }).toEqual({ object: "list", data: card });
    expect(await (await request("/v1/models/tiny")).json()).toEqual(card);
    for (const missing of [await request("/v1/models/org/huge"), await chat({ model: "huge" })]) {
      expect(missing.status).toBe(404);
      expect(await failure(missing)).toMatchObject({ code: "model_not_found", param: "model" });
    }
  });

  test("health is live; ready follows the engine", async () => {
    expect(await (await request("/health")).json()).toEqual({ status: "ok" });
    expect(await (await request("/ready")).json()).toMatchObject({ status: "ready", model: "tiny" });
    engine.use({ notReady: { ...scriptedFailure, status: 500, message: "The weights are loading." } });
    const waiting = await request("/ready");
    expect(waiting.status).toBe(503);
    expect([waiting.headers.get("retry-after"), waiting.headers.get("x-should-retry")]).toEqual(["1", null]);
    expect((await failure(waiting)).message).toBe("The weights are loading.");
    expect((await request("/health")).status).toBe(200);
  });

  test("a missing model is a 503 that says so", async () => {
    engine.use({ refuse: { code: "model_invalid", status: 503, message: "No weights.", retryable: true } });
    const response = await chat({});
    expect([response.status, (await failure(response)).code]).toEqual([503, "model_invalid"]);
  });
});

describe("tokenize and detokenize", () => {
  test("text and back", async () => {
    const tokens = [idOf("hello"), idOf("Ġworld"), endOfTurn];
    const prompt = "hello world<|im_end|>";
    expect(await (await post("/tokenize", { model: "tiny", prompt })).json()).toEqual({
      tokens,
      count: 3,
      token_strs: null,
      max_model_len: 512,
    });
    expect(await (await post("/detokenize", { tokens })).json()).toEqual({ prompt });
  });

  test("messages count as a chat completion counts them", async () => {
    const { count } = await (await post("/tokenize", { messages: body.messages })).json<{ count: number }>();
    expect(await (await chat({})).json()).toMatchObject({ usage: { prompt_tokens: count } });
    const bare = await (await post("/tokenize", { messages: body.messages, add_generation_prompt: false })).json<{ count: number }>();
    expect(bare.count).toBeLessThan(count);
  });

  test.each([
    ["/tokenize", {}, "prompt"],
    ["/tokenize", { prompt: "a", messages: body.messages }, "prompt"],
    ["/tokenize", { prompt: "a", return_token_strs: "yes" }, "return_token_strs"],
    ["/detokenize", { tokens: ["a"] }, "tokens"],
    ["/detokenize", { tokens: [99_999] }, "tokens"],
    ["/detokenize", {}, "tokens"],
  ])("%s refuses %j", async (path, wrong, param) => {
    const response = await post(path, wrong);
    expect(response.status).toBe(400);
    expect((await failure(response)).param).toBe(param);
  });
});

describe("headers", () => {
  test("every answer has an id and the security headers, errors too", async () => {
    const ids = new Set<string | null>();
    for (const response of [await chat({}), await chat({ stream: true }), await request("/nothing"), await chat({ n: 0 })]) {
      ids.add(response.headers.get("x-request-id"));
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
      await response.body?.cancel();
    }
    expect(ids.size).toBe(4);
  });

  test("other origins are served only when they are named", async () => {
    const corsOrigins = "https://one.test, https://two.test";
    const preflight = (origin: string) =>
      requestWith({ CORS_ORIGINS: corsOrigins, API_KEYS: "sk-1" }, "/v1/chat/completions", {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type" },
      });
    const allowed = await preflight("https://two.test");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://two.test");
    expect(allowed.headers.get("vary")).toContain("Origin");
    expect(allowed.headers.get("access-control-allow-credentials")).toBeNull();
    const foreign = await preflight("https://three.test");
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
    const answer = await requestWith({ CORS_ORIGINS: corsOrigins }, "/v1/models", { headers: { origin: "https://one.test" } });
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://one.test");
    expect(answer.headers.get("access-control-expose-headers")).toContain("x-request-id");
  });
});

describe("keys", () => {
  const apiKeys = "sk-one, sk-two";
  const models = (authorization?: string) =>
    requestWith({ API_KEYS: apiKeys }, "/v1/models", authorization === undefined ? {} : { headers: { authorization } });

  test.each([undefined, "", "Bearer", "Bearer ", "Bearer sk-three", "Bearer SK-ONE", "Basic sk-one", "sk-one", "Bearer sk-one, sk-two"])(
    "%j is refused",
    async (authorization) => {
      const response = await models(authorization);
      expect(response.status).toBe(401);
      expect(await failure(response)).toEqual({
        message: "Missing or incorrect API key.",
        type: "invalid_request_error",
        param: null,
        code: "invalid_api_key",
      });
    },
  );

  test("each configured key works, on every route that needs one", async () => {
    for (const key of ["sk-one", "sk-two"]) expect((await models(`Bearer ${key}`)).status).toBe(200);
    for (const path of ["/tokenize", "/detokenize", "/v1/completions"]) {
      expect((await requestWith({ API_KEYS: apiKeys }, path, json({}))).status).toBe(401);
    }
    expect((await requestWith({ API_KEYS: apiKeys }, "/health")).status).toBe(200);
  });

  test("without configured keys any key is fine", async () => {
    expect((await request("/v1/models", { headers: { authorization: "Bearer anything" } })).status).toBe(200);
  });
});
