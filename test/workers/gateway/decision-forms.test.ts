/** Decisions of a model of which it is known how it is asked best. The oracle is the toy model, asked for one token after the whole text. */
import { beforeEach, expect, test } from "vitest";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { ModelCard, TokenizerFile } from "../../../workers/contracts/model-files.ts";
import { calibrated } from "../../../workers/gateway/decisions/calibrated.ts";
import { labelTokens } from "../../../workers/gateway/decisions/labels.ts";
import { averaged, writeBothOrders } from "../../../workers/gateway/decisions/question.ts";
import { renderInput, renderQuestion, renderUnasked } from "../../../workers/models/render-question.ts";
import { ChatTemplate } from "../../../workers/tokenizer/chat-template.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { collect } from "../../contract/generation.ts";
import { json, request } from "../support/gateway-client.ts";
import { assets, engine } from "../support/gateway-worker.ts";
import { tinyManifest, tinyTokenizer, versionOf } from "../support/tiny-tokenizer.ts";

/** Before the first request: an isolate reads a card once. */
const form = { labels: "words", prior: true, temperature: 2.5 } as const;
const card: ModelCard = { ...tinyManifest, decisions: form };
assets["/tiny/manifest.json"] = card;

const file: TokenizerFile = tinyTokenizer;
const tokenizer = Tokenizer.fromTokenizerFile(file);
const served = {
  ...{ card, tokenizer, stopTokens: file.eosTokenIds, firstToken: null },
  chatTemplate: new ChatTemplate(file.chatTemplate ?? "", tokenizer),
};

beforeEach(() => engine.use({}));

const input = "Tell me of the sea, and of the ships that went down in it.";
const choices = [{ value: "sea" }, { value: "land", description: "dry" }, { value: "air" }];
const ask = { type: "choice", instructions: "What is it about?", choices };

async function probabilities(asked: object, headers: Record<string, string>): Promise<readonly number[]> {
  const response = await request("/v1/decisions", json({ model: "tiny", input, questions: [asked] }, headers));
  expect(response.status).toBe(200);
  const { answers } = await response.json<{ answers: { probabilities: { probability: number }[] }[] }>();
  return answers[0]?.probabilities.map(({ probability }) => probability) ?? [];
}

async function scores(prompt: Uint32Array, labels: readonly number[]): Promise<readonly number[]> {
  const asked = { ...greedyParameters, model: versionOf(tinyManifest), requestId: "oracle", prompt, maxTokens: 1, scoredTokens: labels };
  const outcome = await engine.generate(asked);
  if (!outcome.ok) throw new Error(outcome.failure.message);
  const token = (await collect(outcome.value)).find((event) => event.type === "token");
  return labels.map((label) => token?.logprob?.top.find(([id]) => id === label)?.[1] ?? Number.NaN);
}

test("a choice is answered by its options' words, without what these have of themselves, under the temperature", async () => {
  const options = choices.map(({ value, ...rest }) => ({ name: value, ...rest }));
  const orders = writeBothOrders({ instructions: "What is it about?", options, labels: "words" }, []);
  expect(orders[1].text).toBe("Question: What is it about?\nair\nland: dry\nsea\nAnswer with one of these words only.");
  const [logprobs, priors]: [number[][], number[][]] = [[], []];
  for (const { text, labels } of orders) {
    const { tokens, open } = renderInput(served, [{ role: "user", content: input }]);
    const ids = labelTokens(served, labels, "questions");
    logprobs.push([...(await scores(Uint32Array.from([...tokens, ...renderQuestion(served, open, text)]), ids))]);
    priors.push([...(await scores(renderUnasked(served, text), ids))]);
  }
  const expected = calibrated(averaged(logprobs, priors).options, form.temperature);
  expect(new Set(expected.map((value) => value.toFixed(6))).size).toBe(3);
  const told = await probabilities(ask, {});
  for (const [at, value] of expected.entries()) expect(told[at]).toBeCloseTo(value, 9);
});

test("what a question has of itself is asked once a key, and words that begin alike are letters", async () => {
  const headers = { authorization: `Bearer sk-${crypto.randomUUID()}` };
  const first = await probabilities(ask, headers);
  const calls = engine.calls.length;
  expect(await probabilities(ask, headers)).toEqual(first);
  // One has read the input; two are its question in both orders, and two more are asked of nothing, once.
  expect([calls, engine.calls.length - calls]).toEqual([5, 2]);
  await probabilities(ask, { authorization: `Bearer sk-${crypto.randomUUID()}` });
  expect(engine.calls.length - calls - 2).toBe(5);
  engine.use({});
  await probabilities({ ...ask, choices: [{ value: "sea" }, { value: "shore" }] }, {});
  expect(engine.calls.at(-1)?.scoredTokens).toEqual([...tokenizer.encode("B"), ...tokenizer.encode("A")]);
});

test("the model's card says how it is asked", async () => {
  const { data } = await (await request("/v1/models")).json<{ data: { id: string; decisions: unknown }[] }>();
  expect(data.map(({ id, decisions }) => [id, decisions])).toContainEqual(["tiny", form]);
  expect(data.map(({ id, decisions }) => [id, decisions])).toContainEqual(["plain", null]);
});
