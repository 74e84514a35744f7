/** What comes in at the door: text that is well-formed, ids of clients' own, values that ask for nothing, places in lists and streams. */
import { beforeEach, describe, expect, test } from "vitest";
import { chat, complete, failure, json, post, request, requestWith } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { SessionClient } from "../support/session-client.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";

beforeEach(() => engine.use({ reply: bytesAsTokens("ab") }));

/** A body spelled by hand: `JSON.stringify` of half a pair spells the same escape. */
const halfText = "a\ud83d!";
const wholeText = "a\ufffd!";

describe("half a surrogate pair comes back as U+FFFD", () => {
  const raw = (path: string, body: object, headers: Record<string, string> = {}) => request(path, json(body, headers));

  test("in an echo, a name, a transcript and the name of a field", async () => {
    const echo = await complete({ prompt: halfText, echo: true, max_tokens: 1 });
    expect(await echo.json()).toMatchObject({ choices: [{ text: expect.stringContaining(wholeText) as string }] });
    const client = new SessionClient();
    const session = await client.create({ name: halfText });
    expect(session.name).toBe(wholeText);
    await client.say(session.id, halfText);
    const turns = await (await client.call("GET", `/v1/sessions/${session.id}/turns`)).text();
    expect(turns).toContain(wholeText);
    expect(turns.isWellFormed()).toBe(true);
    expect(turns).not.toMatch(/\\ud[89a-f]/i);
    expect((await (await client.call("PATCH", `/v1/sessions/${session.id}`, { name: halfText })).json<{ name: string }>()).name).toBe(
      wholeText,
    );
    expect((await client.createContext({ name: halfText })).name).toBe(wholeText);
    expect((await failure(await chat({ [halfText]: 1 }))).param).toBe(wholeText);
    expect((await failure(await chat({ messages: [{ role: "user", content: "a", [halfText]: 1 }] }))).param).toBe(
      `messages[0].${wholeText}`,
    );
    expect((await failure(await raw("/v1/completions", { model: halfText, prompt: "a" }))).message).toContain(wholeText);
    expect((await failure(await raw("/tokenize", { prompt: "a", [halfText]: 1 }))).param).toBe(wholeText);
  });

  test("a whole pair is left alone, and is the prompt that it was", async () => {
    const tokens = async (prompt: string) => (await (await post("/tokenize", { prompt })).json<{ tokens: number[] }>()).tokens;
    expect(await tokens("\ud83d\ude00")).toEqual(await tokens("😀"));
    expect(await tokens(halfText)).toEqual(await tokens(wholeText));
  });
});

describe("bodies that strangers send", () => {
  /** What comes with an answer that is sent back may be any JSON, of which nothing is read. */
  const holding = (value: string, fields = "") =>
    `{"model":"tiny","max_tokens":1,${fields}"messages":[{"role":"assistant","content":"hi","parsed":${value}},{"role":"user","content":"hi"}]}`;
  const deep = (levels: number, fields = "") => holding(`${"[".repeat(levels)}${"]".repeat(levels)}`, fields);
  const send = (body: BodyInit) => request("/v1/chat/completions", { ...json({}), body });

  test("one that is nested deeply is read, or refused for what it is", async () => {
    expect((await send(deep(100_000))).status).toBe(200);
    for (const fields of ['"user":"\\ud800",', '"seed":9007199254740993,']) {
      expect((await send(deep(100, fields))).status).toBe(200);
      const refused = await send(deep(100_000, fields));
      expect(refused.status).toBe(400);
      expect((await failure(refused)).message).toBe("The request body's arrays and objects are nested too deeply.");
    }
  });

  test.each([
    ['{"model":"tiny","messages":[],"model":"other"}', "model"],
    ['{"model":"tiny","messages":[{"role":"user","content":"a","\\u0063ontent" : "b"}]}', "messages[0].content"],
    ['{"model":"tiny","metadata":{"a\\\\":{"\\"":1,"x":"\\"y\\":","\\"" :2}}}', 'metadata.a\\."'],
    ['{"model":"tiny","metadata":[{},{"__proto__":1,"__proto__":2}]}', "metadata[1].__proto__"],
    ['{"model":"tiny","logit_bias":{"5":1,"5":-1}}', "logit_bias.5"],
    ['{"model":"tiny","seed":1,"seed":9007199254740993}', "seed"],
  ])("one that has a key twice is refused by its name: %s", async (body, field) => {
    const refused = await send(body);
    expect(refused.status).toBe(400);
    expect(await failure(refused)).toMatchObject({
      code: "invalid_request",
      param: field,
      message: `'${field}': must be given once; it is given more than once.`,
    });
  });

  test("keys that only look repeated are none", async () => {
    const value = String.raw`{"a":{"a":"\\","b":"a\":"},"b":[{"a":"\"a\":1,"},{"a":":"},"a",":"],"__proto__":{"a":1}}`;
    expect((await send(holding(value))).status).toBe(200);
  });

  test("one that breaks off is the client's fault, told with how much of it came", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"model"')),
      pull: (controller) => controller.error(new Error("lost")),
    });
    const response = await requestWith({}, "/v1/chat/completions", { ...json({}), body });
    expect([response.status, (await failure(response)).message]).toEqual([400, "The request body broke off after 8 bytes."]);
  });
});

describe("Upgrade", () => {
  const status = async (upgrade: string) => await request("/v1/models", { headers: { upgrade } });

  test.each(["websocket", "WebSocket"])("to %s is refused by name", async (upgrade) => {
    const response = await status(upgrade);
    expect([response.status, await failure(response)]).toMatchObject([400, { code: "invalid_request", param: "Upgrade" }]);
  });

  test.each(["h2c", "TLS/1.2"])("to %s, which clients offer by themselves, is left aside", async (upgrade) => {
    expect((await status(upgrade)).status).toBe(200);
  });
});

describe("x-request-id", () => {
  const idOf = async (id: string) => (await request("/health", { headers: { "x-request-id": id } })).headers.get("x-request-id");

  test.each(["abc", "req_0.1:2-3", "x".repeat(128)])("%j is the client's own", async (id) => {
    expect(await idOf(id)).toBe(id);
  });

  test.each(["", "a b", 'a"b', "é", "x".repeat(129)])("%j is replaced", async (id) => {
    expect(await idOf(id)).toMatch(/^[0-9a-f-]{36}$/);
  });
});

test.each(["identity", "Identity", "IDENTITY"])("Content-Encoding %s is none", async (encoding) => {
  const response = await request("/tokenize", json({ prompt: "a" }, { "content-encoding": encoding }));
  expect(response.status).toBe(200);
});

/** Field, the values of it that ask for nothing, and one that asks for something. */
const fields: readonly (readonly [string, readonly unknown[], unknown])[] = [
  ["tools", [null, []], [{ type: "function" }]],
  ["tool_choice", [null, "none", "auto"], "required"],
  ["functions", [null, []], [{ name: "f" }]],
  ["function_call", [null, "none", "auto"], { name: "f" }],
  ["modalities", [null, ["text"]], ["text", "audio"]],
  ["reasoning_effort", [null, "none"], "low"],
  ["verbosity", [null, "medium"], "high"],
  ["audio", [null], { voice: "a" }],
  ["prediction", [null], { type: "content" }],
  ["web_search_options", [null], {}],
  ["reasoning_effort", [null, "none"], []],
  ["user", [null, "u"], 5],
  ["metadata", [null, {}, { a: "b" }], { a: 1 }],
  ["store", [null, true, false], "yes"],
  ["service_tier", [null, "auto"], []],
  ["safety_identifier", [null, "s"], {}],
  ["prompt_cache_key", [null, "k"], 1],
  ["prompt_cache_retention", [null, "24h"], true],
  ["stop", [null, []], [""]],
  ["logit_bias", [null, {}], { ab: 1 }],
];

test.each(fields)("%s: what asks for nothing is accepted, what asks is refused by name", async (field, neutral, asks) => {
  for (const value of neutral) expect([value, (await chat({ [field]: value, max_tokens: 1 })).status]).toEqual([value, 200]);
  const refusal = await chat({ [field]: asks });
  expect(refusal.status).toBe(400);
  expect((await failure(refusal)).param).toMatch(new RegExp(`^${field}`));
});

test("/tokenize in vLLM's shape", async () => {
  const messages = [{ role: "user", content: "hello" }];
  const whole = await (await post("/tokenize", { messages, return_token_strs: true, tools: [] })).json<Record<string, unknown>>();
  expect(whole).toMatchObject({ count: (whole["tokens"] as number[]).length, max_model_len: 512 });
  expect((whole["token_strs"] as string[]).join("")).toBe("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
  expect(await (await post("/tokenize", { prompt: "hello" })).json()).toMatchObject({ token_strs: null });
  for (const [field, value] of [
    ["chat_template", "x"],
    ["continue_final_message", true],
  ] as const)
    expect(await failure(await post("/tokenize", { messages, [field]: value }))).toMatchObject({ code: "unsupported_field", param: field });
});

describe("places", () => {
  test("a list goes on only from what is in it", async () => {
    const client = new SessionClient();
    const first = await client.create();
    const second = await client.create();
    const ids = async (query: string) => {
      const { data } = await (await client.call("GET", `/v1/sessions?${query}`)).json<{ data: { id: string }[] }>();
      return data.map(({ id }) => id);
    };
    const [newest, oldest] = await ids("limit=2");
    expect([newest, oldest].toSorted()).toEqual([first.id, second.id].toSorted());
    expect(await ids(`after=${newest ?? ""}`)).toEqual([oldest]);
    await client.call("DELETE", `/v1/sessions/${newest ?? ""}`);
    for (const after of [newest ?? "", "nonsense"]) {
      const refusal = await client.call("GET", `/v1/sessions?after=${after}`);
      expect(refusal.status).toBe(400);
      expect(await failure(refusal)).toMatchObject({ code: "invalid_request", param: "after" });
    }
  });

  test("turns go on only from one that there is, or from before all", async () => {
    const client = new SessionClient();
    const { id } = await client.create();
    const numbers = async (query: string) => {
      const { data } = await (await client.call("GET", `/v1/sessions/${id}/turns${query}`)).json<{ data: { number: number }[] }>();
      return data.map(({ number }) => number);
    };
    const refusal = async (after: number) => {
      const response = await client.call("GET", `/v1/sessions/${id}/turns?after=${after}`);
      expect([after, response.status]).toEqual([after, 400]);
      return (await failure(response)).message;
    };
    expect(await numbers("?after=0")).toEqual([]);
    expect(await refusal(1)).toBe("'after': must be the number of a turn, 0 to 0; it is 1.");
    await client.say(id, "a");
    await client.say(id, "b");
    expect(await numbers("")).toEqual([1, 2]);
    expect(await numbers("?after=1")).toEqual([2]);
    expect(await numbers("?after=2")).toEqual([]);
    expect(await refusal(3)).toBe("'after': must be the number of a turn, 0 to 2; it is 3.");
    await client.call("POST", `/v1/sessions/${id}/rewind`, { turn: 1 });
    expect(await refusal(2)).toBe("'after': must be the number of a turn, 0 to 1; it is 2.");
  });

  test("an event that an ended stream never had is refused", async () => {
    const response = await chat({ stream: true, max_tokens: 2 });
    const stream = response.headers.get("x-spikingbrain-stream") ?? "";
    const last = Math.max(...Array.from((await response.text()).matchAll(/^id: .*\.(\d+)$/gm), ([, number]) => Number(number)));
    const after = (number: number) => request(`/v1/streams/${stream}`, { headers: { "last-event-id": `${stream}.${number}` } });
    expect((await (await after(last)).text()).endsWith("data: [DONE]\n\n")).toBe(true);
    const forged = await after(999);
    expect(forged.status).toBe(400);
    expect(await failure(forged)).toMatchObject({ param: "Last-Event-ID" });
  });
});

test("a page on a named origin may send what OpenAI's SDK sends", async () => {
  const asked = "authorization,content-type,x-stainless-arch,x-stainless-retry-count,x-stainless-helper-method";
  const preflight = await requestWith({ CORS_ORIGINS: "https://one.test" }, "/v1/chat/completions", {
    method: "OPTIONS",
    headers: { origin: "https://one.test", "access-control-request-method": "POST", "access-control-request-headers": asked },
  });
  expect((preflight.headers.get("access-control-allow-headers") ?? "").split(",").map((name) => name.trim())).toEqual(asked.split(","));
});
