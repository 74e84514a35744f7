/** Decisions over HTTP. The oracle is the toy model itself, asked for one token after the whole text. */
import { beforeEach, describe, expect, test } from "vitest";
import { failure, json, request, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { SessionClient, user } from "../support/session-client.ts";
import { tinyTokenizer } from "../support/tiny-tokenizer.ts";
import { scriptedFailure } from "../support/toy-backend.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";

interface Decided {
  readonly model: string;
  readonly answers: readonly {
    readonly type: string;
    readonly name: string | null;
    readonly probability?: number;
    readonly choice?: string | boolean;
    readonly confidence?: number;
    readonly score?: number;
    readonly probabilities?: readonly { readonly value?: unknown; readonly label?: string; readonly probability: number }[];
    readonly label_mass: number;
  }[];
  readonly usage: {
    readonly input_tokens: number;
    readonly input_tokens_details: { readonly cached_tokens: number; readonly cache_write_tokens: number };
    readonly output_tokens: number;
    readonly total_tokens: number;
  };
}

const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
const longText = "Tell me of the sea, and of the ships that went down in it long ago, and of those who came home. ".repeat(4);
const questions = [
  {
    type: "choice",
    name: "mood",
    instructions: "What is it about?",
    choices: [{ value: "sea" }, { value: "land", description: "dry" }, { value: true }],
  },
];

let headers: Record<string, string> = {};
beforeEach(() => {
  engine.use({});
  headers = { authorization: `Bearer sk-${crypto.randomUUID()}` };
});

const decide = (body: Json, withHeaders = headers) =>
  request("/v1/decisions", json({ model: "tiny", input: longText, questions, ...body }, withHeaders));
async function decided(body: Json = {}, withHeaders = headers): Promise<Decided> {
  const response = await decide(body, withHeaders);
  if (response.status !== 200) throw new Error(JSON.stringify(await failure(response)));
  return await response.json();
}

describe("a decision", () => {
  test("is the same with a key and without, and the second time its input is not read", async () => {
    const first = await decided();
    const stranger = await decided({}, {});
    const again = await decided();
    expect(first.answers).toEqual(stranger.answers);
    expect(again.answers).toEqual(first.answers);
    expect(first.answers[0]).toMatchObject({ type: "choice", name: "mood" });
    const sum = (first.answers[0]?.probabilities ?? []).reduce((total, { probability }) => total + probability, 0);
    expect(sum).toBeCloseTo(1, 9);
    expect(first.answers[0]?.probabilities?.map(({ value }) => value)).toEqual(["sea", "land", true]);
    const { cached_tokens: cached, cache_write_tokens: written } = again.usage.input_tokens_details;
    expect(first.usage.input_tokens_details).toEqual({ cached_tokens: 0, cache_write_tokens: cached });
    expect(cached).toBeGreaterThan(longText.length / 2);
    expect(written).toBe(0);
    expect(stranger.usage.input_tokens_details).toEqual({ cached_tokens: 0, cache_write_tokens: 0 });
    expect(first.usage.output_tokens).toBe(2);
  });

  test("about a document or a conversation starts where that ends, and is no turn of it", async () => {
    const alice = new SessionClient();
    headers = alice.headers;
    const context = await alice.createContext();
    await alice.upload(context.id, "offset=0&last=true", longText);
    await expect.poll(async () => (await alice.facts(context.id)).ingest?.stage, { timeout: 20_000 }).toBe("ready");
    const ofDocument = await decided({ input: null, context_id: context.id });
    const { tokens } = await alice.facts(context.id);
    expect(ofDocument.usage.input_tokens_details).toEqual({ cached_tokens: tokens, cache_write_tokens: 0 });

    const session = await alice.create();
    await alice.say(session.id, longText);
    const before = await alice.facts(session.id);
    const ofSession = await decided({ input: null, session_id: session.id });
    expect(ofSession.usage.input_tokens_details.cached_tokens).toBeGreaterThan(longText.length / 2);
    expect(await decided({ input: null, session_id: session.id })).toEqual(ofSession);
    expect(await alice.facts(session.id)).toMatchObject({ turns: before.turns, tokens: before.tokens, running: null });
  });

  test.each([
    ["loses its state", { loseStateAfter: { tokens: 0, times: 2 } }],
    ["takes no states", { rejectStates: 2 }],
    ["can't send one", { failSaveAfterBytes: 10 }],
  ])("has the same probabilities where a backend %s", async (_name, script) => {
    const calm = await decided();
    engine.use(script);
    headers = { authorization: `Bearer sk-${crypto.randomUUID()}` };
    expect((await decided()).answers).toEqual(calm.answers);
  });

  test("of each type has its own shape", async () => {
    const asked = [
      { type: "predicate", instructions: "It is about the sea." },
      {
        type: "score",
        name: "joy",
        instructions: [{ type: "input_text", text: "How glad is it?" }],
        levels: [{ label: "not" }, { label: "very" }],
      },
      { type: "choice", instructions: "Which?", choices: Array.from({ length: 20 }, (_one, at) => ({ value: `v${String(at)}` })) },
    ];
    const { answers, usage } = await decided({ questions: asked, input: [user("Read this."), user(longText)] });
    expect(answers.map(({ type, name }) => [type, name])).toEqual([
      ["predicate", null],
      ["score", "joy"],
      ["choice", null],
    ]);
    const [predicate, score, choice] = answers;
    expect(predicate?.probability).toBeGreaterThan(0);
    expect(predicate?.probability).toBeLessThan(1);
    expect(score?.score).toBeCloseTo(score?.probabilities?.[1]?.probability ?? -1, 9);
    expect(choice?.probabilities).toHaveLength(20);
    expect(choice?.confidence).toBe(Math.max(...(choice?.probabilities ?? []).map(({ probability }) => probability)));
    for (const { label_mass: mass } of answers) expect(mass).toBeLessThanOrEqual(1);
    expect(usage.output_tokens).toBe(6);
  });
});

describe("an answer that takes its time", () => {
  const forms = [
    ["/v1/decisions", { input: longText, questions }],
    [
      "/v1/systemone",
      { state: longText, questions: { topic: { type: "choice", instructions: "What?", criteria: { sea: null, land: "dry" } } } },
    ],
  ] as const;

  test.each(forms)(
    "%s: shows that it is coming, so that a client that has left is noticed by runtimes that stand alone",
    async (path, body) => {
      engine.use({ breakAfter: { tokens: 0, how: "hang" } });
      const response = await request(path, json({ model: "tiny", ...body }, headers));
      expect(response.status).toBe(200);
      expect(response.headers.get("x-spikingbrain-cache")).toContain("miss; tokens=0");
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("\n");
      expect(engine.running).toBeGreaterThan(0);
      await reader.cancel();
      await expect.poll(() => engine.running).toBe(0);
    },
  );

  test.each(forms)("%s: is the one that it would have been", async (path, body) => {
    const answers = async () => {
      const response = await request(path, json({ model: "tiny", ...body }, { authorization: `Bearer sk-${crypto.randomUUID()}` }));
      const text = await response.text();
      const { answers: found, usage } = JSON.parse(text) as { readonly answers: unknown; readonly usage: unknown };
      return { isSlow: text.startsWith("\n"), found, usage };
    };
    const soon = await answers();
    expect(soon.isSlow).toBe(false);
    engine.use({ delayMilliseconds: 2_500 });
    expect(await answers()).toEqual({ ...soon, isSlow: true });
  });

  test("is refused by a status as long as no backend is at work", async () => {
    engine.use({ refuse: scriptedFailure });
    expect((await decide({})).status).toBe(503);
  });
});

describe("vLLM's form", () => {
  const systemOne = (body: Json) => request("/v1/systemone", json({ model: "tiny", state: longText, ...body }, headers));
  const topic = { type: "choice", instructions: "What?", criteria: { sea: null, land: "dry" } };

  test("has the probabilities of decisions, in its own shapes", async () => {
    const asked = [
      { type: "choice", instructions: "What?", choices: [{ value: "sea" }, { value: "land", description: "dry" }] },
      { type: "score", instructions: "How glad?", levels: [{ label: "not" }, { label: "very" }] },
    ];
    const {
      answers: [choice, score],
      usage,
    } = await decided({ questions: asked });
    const joy = { type: "score", instructions: "How glad?", criteria: ["not", "very"] };
    const glad = { type: "noul", instructions: "Is it glad?", criteria: { true: "it laughs" } };
    const answer = await (
      await systemOne({ questions: { topic, joy, glad } })
    ).json<{
      readonly answers: Record<
        "topic" | "joy" | "glad",
        { readonly confidence: number; readonly noul?: number; readonly probabilities: Json }
      >;
      readonly usage: { readonly output_tokens: number };
      readonly diagnostics: Record<string, { readonly label_mass: number; readonly argmax_is_label: boolean }>;
    }>();
    const [sea, land] = (choice?.probabilities ?? []).map(({ probability }) => probability);
    expect(answer.answers.topic).toMatchObject({ type: "choice", choice: choice?.choice, probabilities: { sea, land } });
    expect(answer.answers.topic.confidence).toBeCloseTo((choice?.confidence ?? 0) * (choice?.label_mass ?? 0), 12);
    expect(answer.diagnostics["topic"]).toEqual({ label_mass: choice?.label_mass, argmax_is_label: false });
    expect(answer.answers.joy).toMatchObject({ type: "score", score: score?.score, legend: { "0": "not", "1": "very" } });
    const { noul = -1, probabilities } = answer.answers.glad;
    expect(probabilities).toEqual({ yes: noul, no: expect.closeTo(1 - noul, 9) as number });
    expect(answer.usage.output_tokens).toBe(usage.output_tokens + 2);
    expect(engine.calls.length).toBeGreaterThan(0);
    // What the model would rather say than anything else is a label in both orders, or in one, or in none.
    const begins = async (...replies: string[]) => {
      engine.use({ replies: replies.map((text) => [...tokenizer.encode(text)]) });
      const told = await (await systemOne({ questions: { glad } })).json<typeof answer>();
      return told.diagnostics["glad"]?.argmax_is_label;
    };
    expect([await begins("Y"), await begins("N"), await begins("x"), await begins("Y", "x")]).toEqual([true, true, false, false]);
  });

  test.each<[string, Json, string]>([
    ["no questions", { questions: {} }, "questions"],
    ["an unknown type", { questions: { a: { type: "why" } } }, "questions.a.type"],
    ["criteria of another type", { questions: { a: { type: "noul", criteria: { maybe: "x" } } } }, "questions.a.criteria.maybe"],
    ["one level", { questions: { a: { type: "score", criteria: ["a"] } } }, "questions.a.criteria"],
    [
      "more options than the model has labels",
      { questions: { a: { ...topic, criteria: Object.fromEntries(Array.from({ length: 200 }, (_one, at) => [`o${String(at)}`, null])) } } },
      "questions.a",
    ],
    ["an image", { questions: { topic }, images: ["data:"] }, "images"],
    ["no state", { questions: { topic }, state: undefined }, "state"],
    ["a state that is nested too deeply to be written", { questions: { topic }, state: nested(200) }, "state"],
    ["a state that grows too large when it is indented", { questions: { topic }, state: nested(60, Array(50_000).fill(0)) }, "state"],
  ])("%s is refused by its name", async (_name, body, param) => {
    const response = await systemOne(body);
    expect([response.status, (await failure(response)).param]).toEqual([400, param]);
    expect(engine.calls).toHaveLength(0);
  });
});

/** So many arrays around a value. */
function nested(levels: number, value: unknown = []): unknown {
  return levels === 0 ? value : nested(levels - 1, [value]);
}

describe("what is refused", () => {
  test.each<[string, Json, string]>([
    ["no input at all", { input: null }, "input"],
    ["two inputs", { context_id: "ctx_1" }, "input"],
    ["a choice of one", { questions: [{ type: "choice", instructions: "x", choices: [{ value: "a" }] }] }, "questions[0].choices"],
    [
      "two equal choices",
      { questions: [{ type: "choice", instructions: "x", choices: [{ value: "a" }, { value: "a" }] }] },
      "questions[0].choices",
    ],
    ["an image", { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:" }] }] }, "input[0].content[0].type"],
    ["an unknown field", { question: [] }, "question"],
    ["a cache that is no object", { prompt_cache_options: [] }, "prompt_cache_options"],
    ["a cache of another form", { prompt_cache_options: { mode: "explicit" } }, "prompt_cache_options"],
    [
      "more choices than the model has letters",
      { questions: [{ type: "choice", instructions: "x", choices: Array.from({ length: 200 }, (_one, at) => ({ value: String(at) })) }] },
      "questions[0]",
    ],
    ["no question", { questions: [] }, "questions"],
  ])("%s", async (_name, body, param) => {
    const response = await decide(body);
    expect(response.status).toBe(400);
    expect(await failure(response)).toMatchObject({ param });
  });

  test("somebody else's document, without a key too", async () => {
    const alice = new SessionClient();
    const context = await alice.createContext();
    expect((await decide({ input: null, context_id: context.id })).status).toBe(404);
    expect((await decide({ input: null, context_id: context.id }, {})).status).toBe(401);
  });

  test("a model whose backend can't score", async () => {
    const response = await decide({ model: "plain" });
    expect(response.status).toBe(400);
    expect(await failure(response)).toMatchObject({ param: "model" });
  });
});
