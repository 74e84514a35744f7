import { afterEach, beforeEach, expect, test } from "vitest";
import { chat, complete, dataLines, json, payloads, readToEnd, request, requestWith } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { scriptedFailure } from "../support/toy-backend.ts";
import { bytesAsTokens, idOf } from "../support/tiny-tokenizer.ts";
import { pause } from "../../../workers/waiting/within.ts";

beforeEach(() => engine.use({ reply: [idOf("hello"), idOf("Ġworld")] }));

/** However a test ended its stream, the backend must have been let go. */
afterEach(() => expect.poll(() => engine.running).toBe(0));

/** The stream's text with what differs from run to run replaced. */
async function bytesOf(response: Response): Promise<string> {
  const text = await response.text();
  const id = response.headers.get("x-request-id") ?? "none";
  const stream = response.headers.get("x-spikingbrain-stream") ?? "none";
  return text
    .replaceAll(id, "ID")
    .replaceAll(stream, "STREAM")
    .replaceAll(/"created":\d+/g, '"created":0');
}

test("a chat stream, byte for byte", async () => {
  const response = await chat({ stream: true, stream_options: { include_usage: true } });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("cache-control")).toBe("no-cache, no-transform");
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  const head =
    '{"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"tiny","system_fingerprint":"fp_0000000000_toy","choices":';
  expect(await bytesOf(response)).toBe(
    ": keep-alive\n" +
      `data: ${head}[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}\n\n` +
      `id: STREAM.1\ndata: ${head}[{"index":0,"delta":{"content":"hello"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n` +
      `id: STREAM.2\ndata: ${head}[{"index":0,"delta":{"content":" world"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n` +
      `id: STREAM.3\ndata: ${head}[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}\n\n` +
      `id: STREAM.4\ndata: ${head}[],"usage":{"prompt_tokens":21,"completion_tokens":2,"total_tokens":23,"prompt_tokens_details":{"cached_tokens":0}}}\n\n` +
      "data: [DONE]\n\n",
  );
});

test("what is known at once comes in the first chunk, and the end in one with the last entry", async () => {
  const response = await chat({ stream: true, stream_options: { include_usage: true } });
  const chunks: string[] = [];
  for await (const chunk of response.body ?? []) chunks.push(new TextDecoder().decode(chunk as Uint8Array));
  expect(chunks[0]).toMatch(/^: keep-alive\ndata: .*"role":"assistant".*\n\n(id: .*\ndata: .*"content":".*\n\n)+$/);
  expect(chunks.at(-1)).toMatch(/"usage":\{.*\n\ndata: \[DONE\]\n\n$/);
});

test("a completion stream, byte for byte", async () => {
  const response = await complete({ stream: true, max_tokens: 2 });
  const head = '{"id":"cmpl-ID","object":"text_completion","created":0,"model":"tiny","system_fingerprint":"fp_0000000000_toy","choices":';
  expect(await bytesOf(response)).toBe(
    ": keep-alive\n" +
      `id: STREAM.1\ndata: ${head}[{"index":0,"text":"hello","logprobs":null,"finish_reason":null}]}\n\n` +
      `id: STREAM.2\ndata: ${head}[{"index":0,"text":" world","logprobs":null,"finish_reason":null}]}\n\n` +
      `id: STREAM.3\ndata: ${head}[{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]}\n\n` +
      "data: [DONE]\n\n",
  );
});

test("CR, LF and what looks like an event stay inside their JSON", async () => {
  const hostile = 'a\r\nb\n\ndata: [DONE]\n\nevent: x\r: y\u2028"';
  engine.use({ reply: bytesAsTokens(hostile) });
  const response = await chat({ stream: true });
  const text = await response.text();
  expect(text).not.toContain("\r");
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith(":"));
  expect(lines.every((line) => /^(id|data): /.test(line))).toBe(true);
  const data = dataLines(text);
  expect(data.filter((line) => line === "[DONE]")).toHaveLength(1);
  const chunks = data.slice(0, -1).map((line) => JSON.parse(line) as { choices: [{ delta: { content?: string } }] });
  expect(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("")).toBe(hostile);
});

test("a refusal before the first byte is a plain error answer, with the engine's status and Retry-After", async () => {
  engine.use({
    refuse: { code: "overloaded", status: 503, message: "No room for another sequence.", retryable: true, retryAfterSeconds: 2.5 },
  });
  const response = await chat({ stream: true });
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("3");
  expect(await response.json()).toEqual({
    error: { message: "No room for another sequence.", type: "server_error", param: null, code: "overloaded" },
  });
});

test("an engine that throws is unavailable, and its message stays inside", async () => {
  engine.use({ throwOnGenerate: true });
  const response = await chat({});
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain("scripted crash");
});

test.each(["error", "end", "abort"] as const)(
  "a backend that breaks by '%s' for good: one error event, no [DONE], no clean end",
  async (how) => {
    engine.use({ reply: bytesAsTokens("abcdef"), breakAt: { token: 3, how } });
    const { text, clean } = await readToEnd(await chat({ stream: true }));
    const lines = dataLines(text);
    const error = JSON.parse(lines.at(-1) ?? "null") as { error?: { code: string; type: string } };
    expect(error.error).toMatchObject({ code: "engine_unavailable", type: "server_error" });
    if (how === "error") expect(error.error).toMatchObject({ message: scriptedFailure.message });
    expect(lines.filter((line) => line.includes('"error"'))).toHaveLength(1);
    expect(text).not.toContain("[DONE]");
    expect(text).toContain('"content":"c"');
    expect(text).not.toContain('"content":"d"');
    expect(clean).toBe(false);
  },
  20_000,
);

test.each(["error", "end", "abort"] as const)(
  "a backend that breaks by '%s' for good is an error answer where nothing is streamed",
  async (how) => {
    engine.use({ reply: bytesAsTokens("abcdef"), breakAt: { token: 3, how } });
    const response = await chat({});
    expect(response.status).toBe(how === "error" ? 503 : 502);
    expect(await response.json()).toMatchObject({ error: { code: "engine_unavailable" } });
  },
  20_000,
);

test.each(["error", "end", "abort"] as const)("a backend that breaks by '%s' now and then: one unbroken answer", async (how) => {
  engine.use({ reply: bytesAsTokens("abcdefgh") });
  const whole = await bytesOf(await chat({ stream: true, stream_options: { include_usage: true } }));
  engine.use({ reply: bytesAsTokens("abcdefgh"), breakAfter: { tokens: 3, how } });
  expect(await bytesOf(await chat({ stream: true, stream_options: { include_usage: true } }))).toBe(whole);
  expect(engine.calls).toHaveLength(3);
});

test("a silent backend: comments keep the stream alive, and leaving it lets the backend go", async () => {
  engine.use({ reply: bytesAsTokens("abc"), breakAfter: { tokens: 1, how: "hang" } });
  const response = await requestWith(
    { KEEP_ALIVE_SECONDS: "0.02" },
    "/v1/chat/completions",
    json({ model: "tiny", messages: [{ role: "user", content: "hi" }], stream: true }),
  );
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  while (text.split(": keep-alive\n").length < 5) text += new TextDecoder().decode((await reader.read()).value);
  expect(text).toContain('"content":"a"');
  expect(text.endsWith(": keep-alive\n")).toBe(true);
  expect(engine.running).toBe(1);
  await reader.cancel();
  await expect.poll(() => engine.running).toBe(0);
});

test("a client that leaves stops the backend", async () => {
  engine.use({ delayMilliseconds: 5 });
  const response = await chat({ stream: true, max_tokens: 400, ignore_eos: true });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (let reads = 0; reads < 5; reads++) await reader.read();
  expect(engine.running).toBe(1);
  await reader.cancel();
  await expect.poll(() => engine.running).toBe(0);
  const atCancel = engine.generatedTokens;
  await pause(100);
  expect(engine.generatedTokens - atCancel).toBeLessThanOrEqual(1);
  expect(engine.generatedTokens).toBeLessThan(200);
});

test("a client that leaves before the answer stops the backend too", async () => {
  engine.use({ delayMilliseconds: 5 });
  const client = new AbortController();
  const answer = request("/v1/chat/completions", {
    ...json({ model: "tiny", messages: [{ role: "user", content: "hi" }], max_tokens: 400, ignore_eos: true }),
    signal: client.signal,
  });
  await expect.poll(() => engine.generatedTokens).toBeGreaterThan(2);
  client.abort();
  await expect(answer).rejects.toThrow();
  await expect.poll(() => engine.running).toBe(0);
  expect(engine.generatedTokens).toBeLessThan(400);
});

test("a reader that does not read holds nobody up: the answer is whole, and waits for it", async () => {
  engine.use({});
  const body = { prompt: "hi", max_tokens: 480, ignore_eos: true, logprobs: 20, stream: true };
  const response = await complete(body);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  await expect.poll(() => engine.generatedTokens, { timeout: 5_000 }).toBe(480);
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) rest += new TextDecoder().decode(part.value);
  expect(rest.endsWith("data: [DONE]\n\n")).toBe(true);
});

test("every stream ends with exactly one [DONE]", async () => {
  for (const body of [{}, { n: 3 }, { stop: "lo" }, { max_tokens: 1 }]) {
    const lines = await payloads(await chat({ ...body, stream: true }));
    expect(lines.filter((line) => line === "[DONE]")).toHaveLength(1);
    expect(lines.at(-1)).toBe("[DONE]");
  }
});
