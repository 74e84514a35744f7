import { request } from "node:http";
import { expect, test } from "vitest";
import { readRegistry } from "../../infra/local/models/registry.ts";
import { complete, modelId, post, stackUrl, streamedText, type Completion, type Json } from "../support/edge-client.ts";

/** What nothing serves here (`infra/models`). */
const others = [...readRegistry().keys()].filter((id) => id !== modelId);

test("the web page is served at the root, the API beside it", async () => {
  const webPage = await fetch(`${stackUrl}/`);
  expect(webPage.headers.get("content-type")).toContain("text/html");
  expect(await (await fetch(`${stackUrl}/health`)).json()).toEqual({ status: "ok" });
  expect(await (await fetch(`${stackUrl}/ready`)).json()).toMatchObject({ status: "ready", model: modelId });
  expect(await (await fetch(`${stackUrl}/v1/models`)).json()).toMatchObject({
    data: [modelId, ...others].map((id) => ({ id, object: "model" })),
  });
  const missing = await fetch(`${stackUrl}/v1/missing`);
  expect([missing.status, await missing.json()]).toMatchObject([404, { error: { code: "not_found" } }]);
});

test("a real model answers a question", async () => {
  const response = await post("/v1/completions", { model: modelId, prompt: "The capital of France is", max_tokens: 3, temperature: 0 });
  expect(await response.json()).toMatchObject({
    choices: [{ text: expect.stringContaining("Paris") as string }],
    usage: { prompt_tokens: 5 },
  });
});

test("a stream carries the text of the whole answer", async () => {
  const body = { prompt: "Once upon a time", max_tokens: 24 };
  const whole = ((await (await complete(body)).json()) as Completion).choices[0]?.text;
  expect(await streamedText(body)).toBe(whole);
});

test("a stop string ends the answer before it", async () => {
  const body = { prompt: "One, two, three, four,", max_tokens: 24 };
  const whole = await streamedText(body);
  const stop = whole.slice(4, 9);
  expect(await streamedText({ ...body, stop })).toBe(whole.slice(0, whole.indexOf(stop)));
});

test("echo and logprobs score a prompt as the model that generated it would", async () => {
  const prompt = "One, two, three,";
  const choice = async (body: Json) => ((await (await complete({ logprobs: 1, ...body })).json()) as Completion).choices[0];
  const generated = await choice({ prompt, max_tokens: 4 });
  const scored = await choice({ prompt: prompt + (generated?.text ?? ""), max_tokens: 0, echo: true });
  expect(scored?.text).toBe(prompt + (generated?.text ?? ""));
  expect(scored?.logprobs?.tokens.join("")).toBe(scored?.text);
  expect(scored?.logprobs?.token_logprobs[0]).toBeNull();
  // Only where the text splits into the tokens it was made of can the two be compared.
  expect(scored?.logprobs?.tokens.slice(-4)).toEqual(generated?.logprobs?.tokens);
  const tail = scored?.logprobs?.token_logprobs.slice(-4) ?? [];
  for (const [at, logprob] of (generated?.logprobs?.token_logprobs ?? []).entries()) expect(tail[at]).toBeCloseTo(logprob ?? NaN, 2);
});

test("the model's card says what it is and what a conversation takes", async () => {
  const { data } = (await (await fetch(`${stackUrl}/v1/models`)).json()) as { readonly data: readonly object[] };
  expect(data[0]).toMatchObject({
    id: "spikingbrain-135m",
    ...{ status: "ready", reason: null, runs_on: ["engine", "pool"], served_by: ["engine"] },
    context: { unlimited: true, trained_tokens: 8192 },
    max_model_len: expect.any(Number) as number,
    form: {
      summary: "window 512 + evicted-token state in every layer",
      layers: [{ mixer: "evicted", feed_forward: "dense", count: 30 }],
      window: 512,
      kept_tokens: 4,
      salient_tokens: 256,
    },
    state: { constant: true, keys_and_values: "int8", full_attention_bytes_per_token: 12_240 },
    spiking: "off",
    defaults: { temperature: 0.2, top_p: 0.9, top_k: 0, min_p: 0, repetition_penalty: 1 },
    license: "apache-2.0",
    teacher: { name: "SmolLM2-135M-Instruct", license: "apache-2.0", digest: expect.stringMatching(/^sha256:\w{64}$/) as string },
    digest: expect.stringMatching(/^sha256:\w{64}$/) as string,
  });
});

test("a model that only a pool serves is listed, and read by its own tokenizer beside the built-in model's", async () => {
  const card = await (await fetch(`${stackUrl}/v1/models/spikingbrain-7b`)).json();
  expect(card).toMatchObject({
    ...{ status: "unavailable", reason: expect.stringContaining("no backend serves it") as string, runs_on: ["pool"], served_by: [] },
    ...{ parameters: 7_616_542_976, context: { unlimited: true, trained_tokens: 131_072 }, digest: null, license: "mit" },
    state: { bytes: 121_139_200, constant: true, keys_and_values: "bf16" },
  });
  const tokens = async (model: string) =>
    ((await (await post("/tokenize", { model, prompt: "Hello, world! 你好，世界" })).json()) as { readonly tokens: readonly number[] })
      .tokens;
  const qwen = [9707, 11, 1879, 0, 220, 108386, 3837, 99489];
  for (const model of ["spikingbrain-7b", modelId, "spikingbrain-76b"])
    expect([model, JSON.stringify(await tokens(model)) === JSON.stringify(qwen)]).toEqual([model, model !== modelId]);
  const refused = await post("/v1/chat/completions", { model: "spikingbrain-7b", messages: [{ role: "user", content: "Hi" }] });
  expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toMatchObject([
    ...[503, "30"],
    { error: { code: "engine_unavailable", message: expect.stringContaining("`npm run pool` starts replicas") as string } },
  ]);
  const unfetched = await post("/v1/chat/completions", { model: "spikingbrain-coder-0.5b", messages: [{ role: "user", content: "Hi" }] });
  expect([unfetched.status, await unfetched.json()]).toMatchObject([
    503,
    { error: { message: expect.stringContaining("`SPIKINGBRAIN_MODEL=spikingbrain-coder-0.5b npm start` serves it") as string } },
  ]);
  expect(await (await fetch(`${stackUrl}/v1/models/spikingbrain-coder-0.5b`)).json()).toMatchObject({
    ...{ status: "unavailable", runs_on: ["engine", "pool"], served_by: [], parameters: 632_739_744 },
    ...{ context: { trained_tokens: 32_768 }, form: { window: 1024 }, teacher: { name: "Qwen2.5-Coder-0.5B-Instruct" } },
  });
  const instead = await complete({ model: "spikingbrain-7b", fallback: [modelId], prompt: "The capital of France is", max_tokens: 3 });
  expect(instead.headers.get("x-spikingbrain-model")).toBe(`${modelId}; asked="spikingbrain-7b"; why="fallback"`);
  expect(await instead.json()).toMatchObject({ model: modelId, choices: [{ text: expect.stringContaining("Paris") as string }] });
});

test("a prompt twice as long as window and salient tokens is read in the state that the card names, and told on the way", async () => {
  const { data } = (await (await fetch(`${stackUrl}/v1/models`)).json()) as {
    readonly data: readonly [{ readonly state: { readonly bytes: number } }];
  };
  const prompt = Array.from({ length: 1500 }, (_unused, at) => 100 + ((at * 7919) % 40_000));
  const response = await complete({ prompt, max_tokens: 2, ignore_eos: true, stream: true, state: true });
  const states = (await response.text()).split("\n").flatMap((line) => {
    const chunk = line.startsWith("data: {")
      ? (JSON.parse(line.slice("data: ".length)) as { readonly state?: { readonly tokens: number; readonly bytes: number } })
      : {};
    return chunk.state === undefined ? [] : [chunk.state];
  });
  // A reader that is slower than the engine is told the newest alone.
  const told = states.map(({ tokens }) => tokens);
  const reading = [256, 512, 768, 1024, 1280];
  expect(reading).toEqual(expect.arrayContaining(told.slice(0, -2)));
  expect(told.length).toBeGreaterThan(2);
  expect(told.slice(-2)).toEqual([1500, 1501]);
  expect(told).toEqual(told.toSorted((left, right) => left - right));
  for (const { bytes } of states) expect(bytes).toBeLessThanOrEqual(data[0].state.bytes);
});

test("what one request may have is a limit with a name", async () => {
  const response = await complete({ prompt: "word ".repeat(140_000), max_tokens: 1 });
  expect([response.status, await response.json()]).toMatchObject([400, { error: { code: "context_length_exceeded", param: "prompt" } }]);
});

test("spikes are refused where nothing fires, and the answer says why", async () => {
  const response = await complete({ prompt: "One", max_tokens: 1, spikes: true });
  expect([response.status, await response.json()]).toMatchObject([
    400,
    { error: { code: "unsupported_field", param: "spikes", message: expect.stringContaining("spiking mode 'off'") as string } },
  ]);
});

/** Sends a body in chunks, without `Content-Length`, and gives back the status. */
async function sendChunked(bytes: number, headers: Readonly<Record<string, string>> = {}, path = "/v1/completions"): Promise<number> {
  return await new Promise((resolve, reject) => {
    const all = { "content-type": "application/json", ...headers };
    const call = request(`${stackUrl}${path}`, { method: "POST", headers: all }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on("error", reject);
    const chunk = Buffer.alloc(65_536, 32);
    for (let sent = 0; sent < bytes; sent += chunk.length) call.write(chunk);
    call.end();
  });
}

test("a body that is too large is refused, counted or declared", async () => {
  // Several times: a refusal that comes while the body is still sent must not be lost with the connection.
  for (let attempt = 0; attempt < 20; attempt++) expect(await sendChunked(5 * 1024 * 1024)).toBe(413);
  expect(await sendChunked(24 * 1024 * 1024)).toBe(413);
  expect(await sendChunked(5 * 1024 * 1024, { host: "evil.example" })).toBe(403);
  expect(await sendChunked(5 * 1024 * 1024, {}, "/cdn-cgi/handler/email")).toBe(404);
  const declared = await complete({ prompt: "a", user: "x".repeat(5 * 1024 * 1024) });
  expect([declared.status, await declared.json()]).toMatchObject([413, { error: { code: "payload_too_large" } }]);
  expect((await complete({ prompt: "a", max_tokens: 1 })).status).toBe(200);
});
