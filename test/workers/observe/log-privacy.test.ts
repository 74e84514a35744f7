/** Whatever clients send, and however it fails, none of it is in a log line. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { OpenStream, SessionBackend } from "../../../workers/contracts/session.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { Environment } from "../../../workers/gateway/environment.ts";
import { logLine } from "../../../workers/observe/log-line.ts";
import { json, readToEnd, request, requestWith, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { eventOf, formIn, newSecret, spyOnLog } from "../support/log-spy.ts";
import { greedy, SessionClient } from "../support/session-client.ts";
import { bytesAsTokens } from "../support/tiny-tokenizer.ts";
import { scriptedFailure } from "../support/toy-backend.ts";

const secrets = {
  answer: newSecret(),
  document: newSecret(),
  field: newSecret(),
  key: newSecret(),
  name: newSecret(),
  passphrase: newSecret(),
  path: newSecret(),
  prompt: newSecret(),
  system: newSecret(),
  tool: newSecret(),
  turn: newSecret(),
  value: newSecret(),
};

const keyHeaders = { authorization: `Bearer ${secrets.key}` };
const chat: Json = {
  ...greedy,
  messages: [
    { role: "system", content: secrets.system },
    { role: "user", content: secrets.prompt },
  ],
};
const chatPath = "/v1/chat/completions";

let lines: string[] = [];

beforeEach(() => {
  lines = spyOnLog();
  engine.use({ reply: bytesAsTokens(secrets.answer) });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** What of the secrets is in the log. */
function leaks(): string[] {
  return lines.flatMap((line) =>
    Object.entries(secrets).flatMap(([what, secret]) => {
      const form = formIn(line, secret);
      return form === undefined ? [] : [`the ${what} as ${form}: ${line}`];
    }),
  );
}

/** Every line is an event of the table, these are among them, and no secret is in any. */
async function logged(...expected: readonly string[]): Promise<void> {
  await expect.poll(() => lines.map(eventOf)).toEqual(expect.arrayContaining(["request", ...expected]));
  expect(leaks()).toEqual([]);
}

describe("the check itself", () => {
  const text = secrets.prompt;
  test.each([
    ["the text", "text", `a ${text} b`],
    ["its first 12 characters", "text", text.slice(0, 12)],
    ["12 from its middle", "text", text.slice(9, 21)],
    ["base64", "base64", btoa(text)],
    ["base64 amid other text", "base64", btoa(`a${text}`)],
    ["base64 amid other text, at the third place", "base64", btoa(`ab${text}`)],
    ["hexadecimal", "hexadecimal", Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16)).join("")],
    ["token ids", "token ids", JSON.stringify(bytesAsTokens(text))],
  ])("finds %s", (_name, form, cause) => {
    logLine("error", "request_failed", { cause });
    expect(leaks()).toEqual([expect.stringContaining(`the prompt as ${form}`)]);
  });

  test("refuses a line that is no event", () => {
    console.warn("all is well");
    expect(() => lines.map(eventOf)).toThrow();
    lines.splice(0, 1, '{"event":"all_is_well"}');
    expect(() => lines.map(eventOf)).toThrow("not an event of the table");
  });
});

test("answers, whole and streamed, of chats and completions", async () => {
  for (const stream of [false, true]) {
    for (const [path, body] of [
      [chatPath, { ...chat, user: secrets.value, stop: [secrets.value] }],
      ["/v1/completions", { ...greedy, prompt: secrets.prompt, echo: true, suffix: "" }],
    ] as const) {
      const answer = await request(path, json({ ...body, max_tokens: 32, logit_bias: null, logprobs: null, stream }, keyHeaders));
      expect([path, answer.status, (await readToEnd(answer)).text]).toEqual([path, 200, expect.stringContaining("object")]);
    }
  }
  await request("/tokenize", json({ model: "tiny", prompt: secrets.prompt }, keyHeaders));
  await logged("stream_ended", "generation_ended", "tokens_metered");
});

test("sessions, documents, shares and files", async () => {
  const alice = new SessionClient(secrets.key);
  const { id } = await alice.create({ name: secrets.name });
  await alice.say(id, secrets.turn);
  await alice.call("PATCH", `/v1/sessions/${id}`, { name: `${secrets.name} again` });
  const shared = await alice.call("POST", `/v1/sessions/${id}/share`, {});
  expect(shared.status).toBe(201);
  const { id: share } = await shared.json<{ id: string }>();
  expect(await (await request(`/v1/shares/${share}`)).text()).toContain(secrets.name);

  const { id: context } = await alice.createContext({ name: secrets.name });
  expect((await alice.upload(context, "offset=0&last=true", secrets.document)).status).toBe(200);
  await alice.upload(context, `offset=7&last=${secrets.value}`, secrets.document);
  await expect.poll(async () => (await alice.facts(context)).ingest?.stage).toBe("ready");

  const exported = await alice.call("POST", `/v1/sessions/${id}/export`, { passphrase: secrets.passphrase });
  const body = await exported.arrayBuffer();
  const send = async (passphrase: string, file: BodyInit) =>
    (
      await request("/v1/sessions/import", {
        method: "POST",
        headers: { ...keyHeaders, "x-spikingbrain-passphrase": passphrase },
        body: file,
      })
    ).status;
  expect(await send(secrets.passphrase, body)).toBe(201);
  expect(await send(`${secrets.passphrase}?`, body)).toBe(400);
  expect(await send(`${secrets.passphrase}%`, body)).toBe(400);
  expect(await send(secrets.passphrase, secrets.document)).toBe(400);
  expect((await alice.call("DELETE", `/v1/sessions/${id}`)).status).toBe(204);
  await logged("generation_ended", "tokens_metered");
});

describe("requests that are refused", () => {
  const as = (body: BodyInit, type = "application/json"): RequestInit => ({
    method: "POST",
    headers: { ...keyHeaders, "content-type": type },
    body,
  });
  test.each<readonly [name: string, path: string, init: RequestInit, status: number]>([
    ["broken JSON", chatPath, as(`{"model": ${secrets.prompt}`), 400],
    ["JSON that is cut", chatPath, as(`{"model": "tiny", "messages": "${secrets.prompt}`), 400],
    ["an unknown field", chatPath, json({ ...chat, [secrets.field]: secrets.value }, keyHeaders), 400],
    ["a wrong value", chatPath, json({ ...chat, temperature: secrets.value }, keyHeaders), 400],
    ["a wrong role", chatPath, json({ ...chat, messages: [{ role: secrets.value, content: secrets.prompt }] }, keyHeaders), 400],
    [
      "tools",
      chatPath,
      json({ ...chat, tools: [{ type: "function", function: { name: secrets.tool } }], tool_choice: secrets.tool }, keyHeaders),
      400,
    ],
    ["a bias for no token", chatPath, json({ ...chat, logit_bias: { [secrets.field]: 1 } }, keyHeaders), 400],
    ["a longer prompt than the context", "/v1/completions", json({ ...greedy, prompt: secrets.prompt.repeat(40) }, keyHeaders), 400],
    ["another model", chatPath, json({ ...chat, model: secrets.value }, keyHeaders), 404],
    ["another session", chatPath, json({ ...chat, session_id: secrets.value }, keyHeaders), 404],
    ["another path", `/v1/${secrets.path}?${secrets.field}=${secrets.value}`, { headers: keyHeaders }, 404],
    ["another stream", `/v1/streams/${secrets.path}`, { headers: keyHeaders }, 404],
    ["another event", `/v1/streams/${secrets.path}`, { headers: { ...keyHeaders, "last-event-id": secrets.value } }, 404],
    ["another method", `/v1/sessions/${secrets.path}`, { method: "PUT", headers: keyHeaders, body: secrets.value }, 405],
    ["too much", chatPath, as(JSON.stringify({ ...chat, user: secrets.value.repeat(1 << 18) })), 413],
    ["another type", chatPath, as(secrets.prompt, `text/${secrets.value}`), 415],
    ["a query's wrong value", `/v1/sessions?limit=${secrets.value}`, { headers: keyHeaders }, 400],
    ["a request id that can't be one", chatPath, json({}, { ...keyHeaders, "x-request-id": `${secrets.value} ${secrets.value}` }), 400],
  ])("%s", async (_name, path, init, status) => {
    const answer = await request(path, init);
    expect([answer.status, await answer.text()]).toEqual([status, expect.stringContaining("error")]);
    await logged();
  });

  test("a key that is not one, and keys that break their rule", async () => {
    expect((await requestWith({ API_KEYS: "sk-one" }, chatPath, json(chat, keyHeaders))).status).toBe(401);
    expect((await requestWith({ API_KEYS: `${secrets.key} ${secrets.key}` }, chatPath, json(chat, keyHeaders))).status).toBe(500);
    await logged("request_failed");
  });
});

const bytes = (text: string) =>
  new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });

describe("failures", () => {
  test.each([
    ["refuses", { refuse: { ...scriptedFailure, code: "internal_error", status: 500, retryable: false } }, 500, ["request_failed"]],
    ["crashes", { throwOnGenerate: true }, 503, ["service_unreachable"]],
    ["dies late", { breakAt: { token: 14, how: "error" } }, 503, ["generation_retried", "stream_failed"]],
    ["breaks off late", { breakAt: { token: 14, how: "abort" } }, 502, ["generation_retried", "stream_failed"]],
  ] as const)("an engine that %s", async (_name, script, expected, events) => {
    engine.use({ reply: bytesAsTokens(secrets.answer), ...script });
    const plain = request(chatPath, json({ ...chat, logit_bias: null, max_tokens: 32 }, keyHeaders)).then(async (response) => ({
      status: response.status,
      ...(await readToEnd(response)),
    }));
    const streamed = request(chatPath, json({ ...chat, logit_bias: null, max_tokens: 32, stream: true }, keyHeaders)).then(readToEnd);
    const [whole, { text }] = await Promise.all([plain, streamed]);
    // On a machine so busy that seconds pass before it fails, the answer has begun with blank lines, and breaks.
    expect([whole.status, whole.clean]).toEqual(whole.status === 200 ? [200, false] : [expected, true]);
    for (const one of [whole.text, text]) expect(one).toContain("error");
    await logged(...events);
  });

  test("a document whose engine dies", async () => {
    engine.use({ refuse: { ...scriptedFailure, code: "internal_error", status: 500, retryable: false } });
    const alice = new SessionClient(secrets.key);
    const { id } = await alice.createContext({ name: secrets.name });
    await alice.upload(id, "offset=0&last=true", secrets.document);
    await expect.poll(async () => (await alice.facts(id)).ingest?.stage).toBe("failed");
    await logged("document_not_read");
  });

  test("an answer whose entries are no JSON: the parser quotes a short text whole", async () => {
    const { SESSION } = env as unknown as Environment;
    const garbled = {
      start: async (order: Parameters<SessionBackend["start"]>[0]): Promise<Outcome<OpenStream>> => {
        const outcome = await SESSION.start(order);
        if (!outcome.ok) return outcome;
        await outcome.value.entries.cancel();
        return { ok: true, value: { ...outcome.value, entries: bytes(`${secrets.answer.slice(0, 16)}\n`) } };
      },
    } as unknown as Environment["SESSION"];
    await readToEnd(await requestWith({ SESSION: garbled }, chatPath, json({ ...chat, stream: true }, keyHeaders)));
    await logged("stream_failed");
  });
});
