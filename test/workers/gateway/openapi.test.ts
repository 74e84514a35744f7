/** The API's document: of every route, and true of what is answered. */
import { beforeEach, expect, test } from "vitest";
import { answerShapes, type AnswerShape } from "../../../workers/gateway/openapi/answers.ts";
import { apiRoutes } from "../../../workers/gateway/routes.ts";
import { chat, complete, dataLines, post, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { responseEvents, ResponseClient } from "../support/response-client.ts";

let alice = new ResponseClient();
beforeEach(() => {
  engine.use({ contextLength: 4096 });
  alice = new ResponseClient();
});

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, { readonly operationId: string; readonly summary: string }>>;
  readonly components: { readonly schemas: Record<string, Json> };
}
const documentOf = async () => await (await request("/openapi.json")).json<Document>();

test("it has every route and no other, and each name once", async () => {
  const { openapi, paths, components } = await documentOf();
  expect(openapi).toBe("3.1.0");
  const shown = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  const routes = apiRoutes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}")}`);
  expect(shown.toSorted()).toEqual(routes.toSorted());
  const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  expect(new Set(ids).size).toBe(ids.length);
  const references = [...JSON.stringify(paths).matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name = ""]) => name);
  expect([...new Set(references)].filter((name) => !(name in components.schemas))).toEqual([]);
  // All that requests may hold is said: of what is taken and changes nothing no more than its name.
  const { messages, stop, seed, tools } = (components.schemas["ChatCompletionRequest"]?.["properties"] ?? {}) as Record<
    string,
    Json | undefined
  >;
  expect(messages).toMatchObject({ type: "array", minItems: 1 });
  for (const role of ["system", "developer", "user", "assistant", "tool"]) expect(JSON.stringify(messages)).toContain(`"${role}"`);
  expect([JSON.stringify(stop).includes('"string"'), JSON.stringify(seed).includes('"integer"')]).toEqual([true, true]);
  expect(JSON.stringify(tools)).toContain('"parameters"');
  const { input } = (components.schemas["ResponseRequest"]?.["properties"] ?? {}) as Record<string, Json | undefined>;
  expect(JSON.stringify(input)).toContain('"function_call_output"');
});

test("the reference is that document for people, with a policy under which nothing else is loaded", async () => {
  const response = await request("/reference");
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  const html = await response.text();
  for (const path of Object.keys((await documentOf()).paths)) expect(html).toContain(`${path}</code>`);
  expect(html).not.toMatch(/<script|style=|onerror|http-equiv/i);
  // Its one style is of this server, and its links lead to what is there.
  expect(response.headers.get("content-security-policy")).toContain("style-src 'self'");
  expect([...html.matchAll(/<link rel="stylesheet" href="([^"]+)">/g)].map(([, path]) => path)).toEqual(["/reference.css"]);
  const ids = new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
  const targets = [...html.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
  expect(targets.filter((id) => !ids.has(id))).toEqual([]);
  // Fields have their types in words.
  expect(html).toContain('<th scope="row"><code>stream</code></th><td>boolean or null</td>');
  expect(html).toContain('<th scope="row"><code>model</code> <small>required</small></th><td>string (1 to 256 characters)</td>');
});

/** Unknown fields are found too: shapes are strict. */
function expectShape(name: AnswerShape, value: unknown): void {
  const parsed = answerShapes[name].safeParse(value);
  expect(parsed.success ? [] : parsed.error.issues, `${name}: ${JSON.stringify(value).slice(0, 300)}`).toEqual([]);
}
const expectAnswer = async (name: AnswerShape, response: Response | Promise<Response>) => {
  const value = await (await response).json<{ id: string }>();
  expectShape(name, value);
  return value;
};

test("generated answers are what it says, whole and streamed", async () => {
  const options = { max_tokens: 4, logprobs: true, top_logprobs: 1, placement: true, state: true, n: 2, return_token_ids: true };
  await expectAnswer("ChatCompletion", chat({ ...options, prompt_logprobs: 1 }));
  const chunks = dataLines(await (await chat({ ...options, stream: true, stream_options: { include_usage: true } })).text());
  for (const line of chunks.slice(0, -1)) expectShape("ChatCompletionChunk", JSON.parse(line));
  await expectAnswer("Completion", complete({ max_tokens: 4, logprobs: 2, echo: true, return_token_ids: true, prompt_logprobs: 1 }));
  for (const line of dataLines(await (await complete({ max_tokens: 4, stream: true, return_token_ids: true })).text()).slice(0, -1))
    expectShape("Completion", JSON.parse(line));
  const called = { tools: [{ type: "function", function: { name: "f" } }], tool_choice: "required", parallel_tool_calls: false };
  await expectAnswer("ChatCompletion", chat({ ...called, max_tokens: 200 }));
  for (const line of dataLines(await (await chat({ ...called, max_tokens: 200, stream: true })).text()).slice(0, -1))
    expectShape("ChatCompletionChunk", JSON.parse(line));
  const flat = { ...called, tools: [{ type: "function", name: "f" }], ...{ input: "Hi", ignore_eos: false, max_output_tokens: 200 } };
  await expectAnswer("Response", alice.respond(flat));
  for (const event of await responseEvents(await alice.respond({ ...flat, stream: true }))) expectShape("ResponseEvent", event);
  const message = { model: "tiny", max_tokens: 4, messages: [{ role: "user", content: "hi" }] };
  await expectAnswer("Message", post("/v1/messages", message));
  for (const line of dataLines(await (await post("/v1/messages", { ...message, stream: true })).text()))
    expectShape("MessageEvent", JSON.parse(line));
  await expectAnswer("MessagesError", post("/v1/messages", {}));
  const questions = [
    { type: "predicate", instructions: "Is it?" },
    { type: "choice", instructions: "Which?", choices: [{ value: "a" }, { value: true }] },
    { type: "score", instructions: "How much?", levels: [{ label: "little" }, { label: "much" }] },
  ];
  await expectAnswer("Decisions", post("/v1/decisions", { model: "tiny", input: "Hi", questions }));
  const asked = { a: { type: "noul" }, b: { type: "choice", criteria: { x: null, y: "why" } }, c: { type: "score", criteria: ["1", "2"] } };
  await expectAnswer("SystemOne", post("/v1/systemone", { state: { it: "is" }, questions: asked }));
  const { id } = await expectAnswer("Response", alice.respond({ input: "Hi", top_logprobs: 1 }));
  const events = await responseEvents(await alice.respond({ input: "Hi", top_logprobs: 1, stream: true, previous_response_id: id }));
  for (const event of events) expectShape("ResponseEvent", event);
  await expectAnswer("Response", alice.call("GET", `/v1/responses/${id}`));
  await expectAnswer("ItemList", alice.call("GET", `/v1/responses/${id}/input_items`));
  await expectAnswer("InputTokens", alice.call("POST", "/v1/responses/input_tokens", { model: "tiny", input: "Hi" }));
  await expectAnswer("DeletedResponse", alice.call("DELETE", `/v1/responses/${id}`));
  await expectAnswer("Error", alice.call("GET", `/v1/responses/${id}`));
});

test("what is kept, and all else, is answered as it says", async () => {
  const { id } = await expectAnswer("Session", alice.call("POST", "/v1/sessions", { model: "tiny" }));
  await alice.say(id, "Hi");
  await expectAnswer("SessionList", alice.call("GET", "/v1/sessions"));
  await expectAnswer("TurnList", alice.call("GET", `/v1/sessions/${id}/turns`));
  const share = await expectAnswer("MadeShare", alice.call("POST", `/v1/sessions/${id}/share`, {}));
  await expectAnswer("ShareList", alice.call("GET", "/v1/shares"));
  await expectAnswer("SharedSession", request(`/v1/shares/${share.id}`));
  await expectAnswer("Session", alice.call("POST", `/v1/sessions/${id}/fork`, {}));
  const conversation = await expectAnswer("Conversation", alice.call("POST", "/v1/conversations", {}));
  await expectAnswer("ItemList", alice.call("GET", `/v1/conversations/${conversation.id}/items`));
  await expectAnswer("DeletedConversation", alice.call("DELETE", `/v1/conversations/${conversation.id}`));
  await expectAnswer("Session", alice.call("POST", "/v1/contexts", { model: "tiny" }));
  await expectAnswer("Usage", alice.call("GET", "/v1/usage"));
  await expectAnswer("ModelList", request("/v1/models"));
  await expectAnswer("Model", request("/v1/models/tiny"));
  await expectAnswer("Tokens", post("/tokenize", { model: "tiny", prompt: "Hi" }));
  await expectAnswer("Prompt", post("/detokenize", { model: "tiny", tokens: [40, 41] }));
  await expectAnswer("Health", request("/health"));
  await expectAnswer("Ready", request("/ready"));
  await expectAnswer("Error", chat({ unheard: 1 }));
});
