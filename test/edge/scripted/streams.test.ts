/** What streams and answers do when their engine pauses, dies or is left, over real HTTP: between the layers is where it goes wrong. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { openEventSource, type EventSourceReader } from "../../../test/page/support/event-source.ts";
import { launchBrowser } from "../../support/browser.ts";
import { runClient, runPythonAsync } from "../../support/python.ts";
import { scriptedFailure } from "../../workers/support/toy-generation.ts";
import { bytesAsTokens, tinyTokenizer } from "../../workers/support/tiny-tokenizer.ts";
import { callText } from "../../../workers/models/call-form.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { contentOf, openai, question, readInPython, readWithAiSdk, readWithOpenAi, readWithParser } from "./readers.ts";
import { compliant } from "../clients/compliance.ts";
import { useScriptedStack } from "./stack.ts";

const stack = useScriptedStack();

/** However a test ended, the engine must have been let go. */
afterEach(() => expect.poll(async () => (await stack.load()).running, { timeout: 60_000 }).toBe(0));

interface Ending {
  readonly data: readonly string[];
  readonly stream: string;
  readonly isClean: boolean;
}

/** Reads to the end, however it comes; `onData` sees each payload. */
async function readAll(response: Response, onData: (data: string) => Promise<void> = () => Promise.resolve()): Promise<Ending> {
  const data: string[] = [];
  const decoder = new TextDecoder();
  let buffered = "";
  let isClean = true;
  try {
    for await (const chunk of response.body ?? []) {
      buffered += decoder.decode(chunk as Uint8Array, { stream: true });
      const lines = buffered.split("\n");
      buffered = lines.pop() ?? "";
      for (const line of lines.filter((one) => one.startsWith("data: "))) {
        data.push(line.slice("data: ".length));
        await onData(line);
      }
    }
  } catch {
    isClean = false;
  }
  return { data, stream: response.headers.get("x-spikingbrain-stream") ?? "", isClean };
}

const resumed = async (stream: string) => await readAll(await fetch(`${stack.url}/v1/streams/${stream}`));

function expectBroken({ data, isClean }: Ending, error: object): void {
  expect(data.filter((line) => line.includes('"error"'))).toHaveLength(1);
  expect(JSON.parse(data.at(-1) ?? "null")).toMatchObject({ error });
  expect(data).not.toContain("[DONE]");
  expect(isClean).toBe(false);
}

describe("a stream that fails after it began: the error event, then the break", () => {
  test.each(["error", "end", "abort"] as const)(
    "an engine that dies by '%s' and can't be replaced; again to who comes back",
    async (how) => {
      await stack.use({ reply: bytesAsTokens("abcdefgh"), delayMilliseconds: 10, breakAt: { token: 3, how } });
      const error = { type: "server_error", code: "engine_unavailable", ...(how === "error" ? { message: scriptedFailure.message } : {}) };
      for (const path of ["/v1/chat/completions", "/v1/completions"]) {
        const body = path.endsWith("chat/completions") ? question : { model: "tiny", prompt: "hi", ignore_eos: true };
        const ending = await readAll(await stack.post(path, { ...body, stream: true }));
        expectBroken(ending, error);
        expect(ending.data.length).toBeGreaterThan(2);
        expectBroken(await resumed(ending.stream), error);
      }
    },
  );

  test("an object that is lost with the stream: the client is told that it can come back, and it can", async () => {
    // It is lost in the pause, however long a call takes.
    await stack.use({ reply: bytesAsTokens("abcdefgh"), delayMilliseconds: 10, pauseAt: { token: 3, milliseconds: 5_000 } });
    const response = await stack.post("/v1/chat/completions", { ...question, ignore_eos: false, stream: true });
    const stream = response.headers.get("x-spikingbrain-stream") ?? "";
    let isLost = false;
    const ending = await readAll(response, async (line) => {
      if (isLost || !line.includes('"content":"b"')) return;
      isLost = true;
      await stack.lose(stream);
    });
    expectBroken(ending, { code: "session_unavailable", message: expect.stringContaining("can be resumed") as string });
    const rest = await resumed(stream);
    expect(rest.data.at(-1)).toBe("[DONE]");
    const text = rest.data
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { choices: [{ delta: { content?: string } }] }).choices[0].delta.content ?? "");
    expect(text.join("")).toBe("abcdefgh");
  });

  test("a stream that is stopped by DELETE is not one: it ends whole", async () => {
    await stack.use({ delayMilliseconds: 30 });
    const response = await stack.post("/v1/chat/completions", { ...question, stream: true, max_tokens: 400 });
    const stream = response.headers.get("x-spikingbrain-stream") ?? "";
    let chunks = 0;
    const ending = await readAll(response, async () => {
      if (++chunks === 3) await fetch(`${stack.url}/v1/streams/${stream}`, { method: "DELETE" });
    });
    expect(ending).toMatchObject({ isClean: true });
    expect(ending.data.slice(-2)).toEqual([expect.stringContaining('"finish_reason":"stop"') as string, "[DONE]"]);
  });

  test("OpenAI's clients raise the error that the event names", async () => {
    await stack.use({ delayMilliseconds: 10, breakAt: { token: 3, how: "error" } });
    const read = async () => {
      for await (const chunk of await openai(stack.url).chat.completions.create({ ...question, stream: true }))
        expect(chunk.choices).toHaveLength(1);
    };
    await expect(read()).rejects.toMatchObject({ code: "engine_unavailable" });
    const { error } = await readInPython(stack.url, 4);
    expect(error).toMatchObject({ code: "engine_unavailable", message: scriptedFailure.message });
  });
});

describe("a stream of a response that fails after it began: one event that ends it", () => {
  const asked = { model: "tiny", input: "hi", stream: true as const, max_output_tokens: 20 };
  const ends = ["response.completed", "response.incomplete", "response.failed", "error"];
  const eventsIn = ({ data }: Ending) => data.map((line) => JSON.parse(line) as { type: string; sequence_number: number; delta?: string });
  const expectOneEnd = (ending: Ending, end: object) => {
    const events = eventsIn(ending);
    expect(events.filter(({ type }) => ends.includes(type))).toEqual([events.at(-1)]);
    expect(events.at(-1)).toMatchObject(end);
    expect(ending.data).not.toContain("[DONE]");
  };

  test("an engine that dies and can't be replaced: 'response.failed', in order; again to who comes back, and to OpenAI's client", async () => {
    await stack.use({ reply: bytesAsTokens("abcdefgh"), delayMilliseconds: 10, breakAt: { token: 3, how: "error" } });
    const error = { code: "server_error", message: scriptedFailure.message };
    const said = [{ type: "message", status: "incomplete", content: [{ type: "output_text", text: "abc" }] }];
    const failed = { type: "response.failed", response: { status: "failed", completed_at: null, error, output: said } };
    const ending = await readAll(await stack.post("/v1/responses", asked));
    expectOneEnd(ending, failed);
    expect(ending.isClean).toBe(true);
    expect(eventsIn(ending).map(({ sequence_number: number }) => number)).toEqual([...ending.data.keys()]);
    expect(await resumed(ending.stream)).toMatchObject({ data: ending.data, isClean: true });
    const types: string[] = [];
    for await (const event of await openai(stack.url).responses.create(asked)) {
      types.push(event.type);
      if (event.type === "response.failed") expect(event.response).toMatchObject(failed.response);
    }
    expect(types).toEqual(eventsIn(ending).map(({ type }) => type));
  });

  test("an object that is lost: 'error' with its fields in the event and in its 'error', which OpenAI's client raises; then the break", async () => {
    await stack.use({ reply: bytesAsTokens("abcdefgh"), delayMilliseconds: 10, pauseAt: { token: 3, milliseconds: 5_000 } });
    const lost = { code: "session_unavailable", message: expect.stringContaining("can be resumed") as string, param: null };
    const byHand = async () => {
      const response = await stack.post("/v1/responses", asked);
      const stream = response.headers.get("x-spikingbrain-stream") ?? "";
      return await readAll(response, (line) => (line.includes('"delta":"b"') ? stack.lose(stream) : Promise.resolve()));
    };
    const byClient = async () => {
      const { data, response } = await openai(stack.url).responses.create(asked).withResponse();
      for await (const event of data)
        if (event.type === "response.output_text.delta" && event.delta === "b")
          await stack.lose(response.headers.get("x-spikingbrain-stream") ?? "");
    };
    const [ending] = await Promise.all([byHand(), expect(byClient()).rejects.toMatchObject(lost)]);
    expectOneEnd(ending, { type: "error", ...lost, error: { type: "server_error", ...lost } });
    expect(ending.isClean).toBe(false);
    const rest = eventsIn(await resumed(ending.stream));
    expect(rest.map(({ sequence_number: number }) => number)).toEqual([...rest.keys()]);
    expect(rest.map(({ delta = "" }) => delta).join("")).toBe("abcdefgh");
    expect(rest.at(-1)).toMatchObject({ type: "response.completed" });
  });
});

describe("silences several times as long as what keeps a stream alive", () => {
  const paused = () => stack.use({ reply: bytesAsTokens("abcd"), delayMilliseconds: 900 });

  test("carry comments, none of which ends an event", async () => {
    await paused();
    const text = await (await stack.post("/v1/chat/completions", { ...question, stream: true, max_tokens: 3 })).text();
    expect(text.split(": keep-alive\n").length).toBeGreaterThan(6);
    const events = text.split("\n\n");
    expect(events.pop()).toBe("");
    for (const event of events) expect(event.split("\n").filter((line) => line.startsWith("data: "))).toHaveLength(1);
  });

  test("of twenty seconds, before the text and in the middle of it, are read by each client, all at once", async () => {
    const running = (answers: number) => expect.poll(async () => (await stack.load()).running, { timeout: 60_000 }).toBe(answers);
    // Long enough for all of them to begin within one, also on a busy machine.
    const milliseconds = 20_000;
    const { url } = stack;
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const eventSource = await openEventSource(browser, url);
    await stack.use({ reply: bytesAsTokens("a"), pauseAt: { token: 0, milliseconds } });
    // Its interpreter takes a while to start; an answer keeps the script that it began with.
    const pythonBefore = readInPython(url, 1);
    await running(1);
    const before = Promise.all([readWithOpenAi(url, 1), pythonBefore, readWithAiSdk(url, 1), chatText(1)]);
    await running(4);
    await stack.use({ reply: bytesAsTokens("abcd"), pauseAt: { token: 2, milliseconds } });
    const middle = Promise.all([readWithOpenAi(url, 4), readInPython(url, 4), readWithAiSdk(url, 4), chatText(4), twoReaders(eventSource)]);

    const [javaScript, python, aiSdk, bytes] = await before;
    expect({ javaScript, python, aiSdk }).toEqual({ javaScript: "a", python: { text: "a", error: null }, aiSdk: "a" });
    expect(bytes.split(": keep-alive\n").length).toBeGreaterThan(20);
    expect(bytes.match(/"content":"a"/g)).toHaveLength(1);
    expect(bytes.endsWith("data: [DONE]\n\n")).toBe(true);

    const [javaScriptNext, pythonNext, aiSdkNext, bytesNext, both] = await middle;
    expect({ javaScriptNext, pythonNext, aiSdkNext }).toEqual({
      javaScriptNext: "abcd",
      pythonNext: { text: "abcd", error: null },
      aiSdkNext: "abcd",
    });
    const silence = bytesNext.slice(bytesNext.indexOf('"content":"b"'), bytesNext.indexOf('"content":"c"'));
    expect(silence.split(": keep-alive\n").length).toBeGreaterThan(20);
    expect(silence.match(/data: /g)).toHaveLength(1);
    expect(bytesNext.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(both).toEqual({ eventSource: "abcd", parser: { text: "abcd", comments: expect.any(Number) as number } });
    expect(both.parser.comments).toBeGreaterThan(20);
  });

  test("are read by OpenAI's JavaScript client, its Python client and the AI SDK", async () => {
    await paused();
    expect(await readWithOpenAi(stack.url, 4)).toBe("abcd");
    expect(await readInPython(stack.url, 4)).toEqual({ text: "abcd", error: null });
    expect(await readWithAiSdk(stack.url, 4)).toBe("abcd");
  });
});

const streamed = (tokens: number) => stack.post("/v1/chat/completions", { ...question, stream: true, max_tokens: tokens });
const chatText = async (tokens: number) => await (await streamed(tokens)).text();

/** One stream with two readers: the one that began it, and EventSource, which can't send a request like that. */
async function twoReaders(read: EventSourceReader) {
  const response = await streamed(4);
  const path = `/v1/streams/${response.headers.get("x-spikingbrain-stream") ?? ""}`;
  const [parser, data] = await Promise.all([readWithParser(response), read(path)]);
  return { parser, eventSource: data.map(contentOf).join("") };
}

test("readers that stall for seconds, and that are slow, get everything afterwards, in order, once", async () => {
  const choices = 8;
  const text = "abcdefghijklmnopqrstuvwxyz".repeat(15);
  await stack.use({ reply: bytesAsTokens(text), delayMilliseconds: 5 });
  const read = async (afterChunk: (chunks: number) => Promise<void>) => {
    const alternatives = { n: choices, logprobs: true, top_logprobs: 20 };
    const response = await stack.post("/v1/chat/completions", { ...question, ...alternatives, stream: true, max_tokens: text.length });
    let bytes = 0;
    let chunks = 0;
    let body = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      bytes += (chunk as Uint8Array).byteLength;
      body += decoder.decode(chunk as Uint8Array, { stream: true });
      await afterChunk(chunks++);
    }
    return { bytes, body };
  };
  const stalled = read((chunks) => delay(chunks === 3 ? 6000 : 0));
  const slow = read(() => delay(20));
  for (const { bytes, body } of await Promise.all([stalled, slow])) {
    // More than lies between an engine and a reader who takes nothing.
    expect(bytes).toBeGreaterThan(3_000_000);
    expect(body.endsWith("data: [DONE]\n\n")).toBe(true);
    const data = body.split("\n").filter((line) => line.startsWith("data: "));
    expect(data.filter((line) => line === "data: [DONE]")).toHaveLength(1);
    const texts = Array.from({ length: choices }, () => "");
    const endings: (string | null)[] = [];
    for (const line of data.slice(0, -1)) {
      const chunk = JSON.parse(line.slice("data: ".length)) as Chunk;
      for (const { index, delta, finish_reason: ending } of chunk.choices) {
        texts[index] = (texts[index] ?? "") + (delta.content ?? "");
        if (ending !== null) endings.push(ending);
      }
    }
    expect(texts).toEqual(Array.from({ length: choices }, () => text));
    expect(endings).toEqual(Array.from({ length: choices }, () => "length"));
    const ids = body.split("\n").filter((line) => line.startsWith("id: "));
    expect(new Set(ids).size).toBe(ids.length);
  }
});

interface Chunk {
  readonly choices: readonly {
    readonly index: number;
    readonly delta: { readonly content?: string };
    readonly finish_reason: string | null;
  }[];
}

describe("a client that leaves ends the work", () => {
  /** Of each choice; as slow as they come, they take far longer than anybody needs to notice who has left. */
  const maxTokens = 400;
  const delayMilliseconds = 200;
  const chat = { path: "/v1/chat/completions", body: { ...question, max_tokens: maxTokens } };
  const completion = { path: "/v1/completions", body: { model: "tiny", prompt: "hi", max_tokens: maxTokens, ignore_eos: true } };
  test.each([
    ["a chat", 1, chat],
    ["several choices", 3, { ...chat, body: { ...chat.body, n: 3 } }],
    ["a completion", 1, completion],
    ["several prompts with echo", 2, { ...completion, body: { ...completion.body, prompt: ["hi", "ho"], echo: true, logprobs: 1 } }],
    ["a streamed chat", 1, { ...chat, body: { ...chat.body, stream: true } }],
    ["a streamed completion", 1, { ...completion, body: { ...completion.body, stream: true } }],
  ])("%s", async (_name, choices, { path, body }) => {
    await stack.use({ delayMilliseconds });
    const client = new AbortController();
    const answer = stack.post(path, body, { signal: client.signal }).then(async (response) => await response.text());
    const left = expect(answer).rejects.toThrow();
    await expect.poll(async () => (await stack.load()).generatedTokens).toBeGreaterThan(2);
    client.abort();
    await left;
    await expect.poll(async () => (await stack.load()).running, { timeout: 60_000 }).toBe(0);
    expect((await stack.load()).generatedTokens).toBeLessThan((choices * maxTokens) / 2);
  });

  test("a whole answer that takes its time is JSON like any other", async () => {
    await stack.use({ reply: bytesAsTokens("abcdefgh"), delayMilliseconds: 600 });
    const response = await stack.post("/v1/chat/completions", { ...question, max_tokens: 8 });
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(response.headers.get("x-spikingbrain-cache")).toContain("miss");
    const text = await response.text();
    expect(text).toMatch(/^\n+\{.*\}$/);
    expect(JSON.parse(text)).toMatchObject({ choices: [{ message: { content: "abcdefgh" }, finish_reason: "length" }] });
  });

  test("one that fails then breaks, with the reason before it", async () => {
    await stack.use({ delayMilliseconds: 600, breakAt: { token: 6, how: "error" } });
    const response = await stack.post("/v1/chat/completions", { ...question, max_tokens: 20 });
    let text = "";
    const read = async () => {
      for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk as Uint8Array);
    };
    await expect(read()).rejects.toThrow();
    expect(JSON.parse(text)).toMatchObject({ error: { code: "engine_unavailable", message: scriptedFailure.message } });
  });

  test("one that fails before it began is a status", async () => {
    await stack.use({ delayMilliseconds: 600, breakAt: { token: 0, how: "error" } });
    const response = await stack.post("/v1/chat/completions", question);
    expect([response.status, await response.json()]).toMatchObject([503, { error: { code: "engine_unavailable" } }]);
  });
});

test("an agent calls a function, reads what it gave and answers, over chats, responses and responses that are followed", async () => {
  const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
  const call = callText({ name: "weather", arguments: '{"trip": {"city": "Oslo", "days": 7}}' });
  const replies = Array.from({ length: 6 }, () => [call, "It is mild."]).flat();
  await stack.use({ replies: replies.map((text) => [...tokenizer.encode(text)]) });
  const run = {
    ...{ answer: "It is mild.", streamed: "It is mild.", gave: ["7 degrees in Oslo"] },
    kinds: ["tool_call_item", "tool_call_output_item", "message_output_item"],
  };
  const found = JSON.parse(await runClient("test/edge/clients/agent_loop.py", stack.url, "tiny")) as object;
  expect(found).toEqual({ chats: run, responses: run, kept: run, elsewhere: [] });
});

test("LangChain's json_mode and instructor's JSON modes read objects that no schema holds the answer to", async () => {
  const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
  const trip = '{"city":"Oslo","days":7}';
  await stack.use({ contextLength: 8192, reply: [...tokenizer.encode(trip)] });
  const found = JSON.parse(await runClient("test/edge/clients/json_modes.py", stack.url, "tiny")) as object;
  const read = [trip, true, null, true];
  expect(found).toEqual({ chats: read, responses: read, json: true, partly: true, messages: true, elsewhere: [] });
});

test("what the compliance test of Open Responses asks, with its fields alone: nothing says that a function must be called", async () => {
  const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
  const call = callText({ name: "get_weather", arguments: '{"location": "San Francisco, CA"}' });
  const replies = ["Hello there.", "1, 2, 3, 4, 5.", "Ahoy.", call, call, "You are Ann."];
  await stack.use({ contextLength: 8192, replies: replies.map((text) => [...tokenizer.encode(text)]) });
  const found = JSON.parse(await runClient("test/edge/clients/open_responses.py", stack.url, "tiny", "alone")) as object;
  expect(found).toEqual({ ...compliant, elsewhere: [] });
});

test("every route answers as the API's document says, to what it allows and to what it does not", async () => {
  await stack.use({});
  await runPythonAsync("test/edge/fuzz_api.py", stack.url);
  await runPythonAsync("test/edge/fuzz_api.py", stack.url, "control");
}, 300_000);
