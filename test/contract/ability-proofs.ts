/** What an ability promises, as a case that a backend without it fails; and a request that needs it, which such a backend refuses. */
import { expect } from "vitest";
import type { Ability } from "../../workers/contracts/abilities.ts";
import type { ToolChoice } from "../../workers/contracts/tools.ts";
import { callsGrammar, callText } from "../../workers/models/call-form.ts";
import { collect, generate, greedy, type TestedBackend, type TestRequest } from "./generation.ts";
import { filesOf, onlyFile, sourceOf } from "./state-files.ts";

export interface Proof {
  /** The field by which a backend without the ability refuses {@link Proof.needing}. */
  readonly param: string;
  readonly needing: (prompt: readonly number[]) => TestRequest;
  readonly holds: (backend: TestedBackend, prompt: readonly number[]) => Promise<void>;
}

const sampled = (prompt: readonly number[], changes: Partial<TestRequest["sampling"]>): TestRequest => {
  const request = greedy(prompt);
  return { ...request, sampling: { ...request.sampling, ...changes } };
};
const saving = (prompt: readonly number[], at: readonly number[], end: boolean): TestRequest => ({
  ...greedy(prompt),
  save: { at, end, fromPage: 0 },
});
const held = (prompt: readonly number[], texts: readonly string[]): TestRequest => ({
  ...greedy(prompt),
  maxTokens: 16,
  constraint: { kind: "choice", text: JSON.stringify(texts) },
});
const warmly = (prompt: readonly number[]): TestRequest => sampled(prompt, { temperature: 1, seed: 5 });
const other = (id: number) => (id === 0 ? 1 : id - 1);

/** The grammar of calls leaves the same texts everywhere: those that a choice of them leaves too, whatever the backend's tokens are. */
async function holdsCalls(backend: TestedBackend, prompt: readonly number[]): Promise<void> {
  const [none, one] = [
    { type: "object", properties: {}, additionalProperties: false },
    { type: "object", properties: { a: { const: 1 } }, required: ["a"], additionalProperties: false },
  ];
  const functions = [
    { name: "f", parameters: none },
    { name: "g", parameters: one },
  ];
  const asked = (choice: ToolChoice, seed: number) => ({
    ...sampled(prompt, { temperature: 2, seed }),
    maxTokens: 60,
    constraint: callsGrammar({ functions, choice, parallel: false }),
  });
  const texts = [callText({ name: "f", arguments: "{}" }), callText({ name: "g", arguments: '{"a": 1}' })];
  const spoken: (readonly number[])[] = [];
  for (const text of texts) spoken.push((await generate(backend, { ...held(prompt, [text]), maxTokens: 60 })).tokens);
  for (const [at, { name }] of functions.entries()) {
    const { tokens, end } = await generate(backend, asked({ name }, at));
    expect(tokens).toEqual(spoken[at]);
    expect(end).toMatchObject({ type: "finish", reason: "stop" });
  }
  // Either of them, in tokens of chance where the text leaves one.
  const { tokens, end } = await generate(backend, { ...asked("required", 1), sampling: greedy(prompt).sampling });
  expect([end?.type === "finish" && end.reason, tokens.length > 2]).toEqual(["stop", true]);
  const refused = callsGrammar({ functions: [{ name: "f", parameters: { type: "object", not: {} } }], choice: "required", parallel: true });
  const outcome = await backend.generate({ ...greedy(prompt), constraint: refused });
  const last = outcome.ok ? (await collect(outcome.value)).at(-1) : undefined;
  expect(outcome.ok ? last?.type : "error").toBe("error");
}

export const abilityProofs: Readonly<Record<Ability, Proof>> = {
  states: {
    param: "save",
    needing: (prompt) => saving(prompt, [], true),
    async holds(backend, prompt) {
      const first = await generate(backend, saving(prompt, [], true));
      const read = [...prompt, ...first.tokens];
      const resume = { tokens: read.length, state: sourceOf(onlyFile(first.all), read), seen: new Uint32Array() };
      const next = await generate(backend, { ...greedy(prompt), resume });
      expect(next.tokens).toEqual((await generate(backend, greedy([...read, ...prompt]))).tokens);
      expect(next.end).toMatchObject({ usage: { cachedTokens: read.length } });
    },
  },
  states_on_the_way: {
    param: "save.at",
    needing: (prompt) => saving(prompt, [1], true),
    async holds(backend, prompt) {
      const { all } = await generate(backend, saving(prompt, [1, 2], false));
      expect([...filesOf(all).keys()]).toEqual([1, 2]);
    },
  },
  continued: {
    param: "continued",
    needing: (prompt) => ({ ...sampled(prompt, { temperature: 1 }), continued: 1 }),
    async holds(backend, prompt) {
      const chance = { temperature: 1.5, presencePenalty: 1, frequencyPenalty: 1 };
      for (const seed of [1, 2, 3]) {
        const whole = await generate(backend, { ...sampled(prompt, { ...chance, seed }), maxTokens: 10 });
        const begun = whole.tokens.slice(0, 5);
        const rest = { ...sampled([...prompt, ...begun], { ...chance, seed }), maxTokens: 5, continued: begun.length };
        expect((await generate(backend, rest)).tokens).toEqual(whole.tokens.slice(5));
      }
    },
  },
  prompt_logprobs: {
    param: "promptLogprobs",
    needing: (prompt) => ({ ...greedy(prompt), promptLogprobs: 0 }),
    async holds(backend, prompt) {
      const { all, tokens, end } = await generate(backend, { ...greedy(prompt), maxTokens: 0, promptLogprobs: 2 });
      expect(tokens).toEqual([]);
      expect(end).toMatchObject({ type: "finish", reason: "length", usage: { completionTokens: 0 } });
      const scores = all[0]?.type === "prompt" ? all[0].logprobs : [];
      expect(scores).toHaveLength(prompt.length);
      expect(scores[0]).toBeNull();
      for (const [position, score] of scores.entries()) {
        if (position === 0) continue;
        expect(score?.id).toBe(prompt[position]);
        expect(score?.top).toHaveLength(2);
        expect(score?.logprob).toBeLessThanOrEqual(score?.top[0]?.[1] ?? -Infinity);
      }
    },
  },
  logit_bias: {
    param: "sampling.logitBias",
    needing: (prompt) => sampled(prompt, { logitBias: [[1, 1]] }),
    async holds(backend, prompt) {
      const [best = 0] = (await generate(backend, greedy(prompt))).tokens;
      const biased = (id: number, bias: number) => generate(backend, { ...sampled(prompt, { logitBias: [[id, bias]] }), maxTokens: 2 });
      expect((await biased(other(best), 100)).tokens).toEqual([other(best), other(best)]);
      expect((await biased(best, -100)).tokens).not.toContain(best);
    },
  },
  long_seeds: {
    param: "sampling.seed",
    needing: (prompt) => sampled(prompt, { seed: String(2n ** 64n - 1n) }),
    async holds(backend, prompt) {
      const seeded = async (seed: bigint) =>
        (await generate(backend, { ...sampled(prompt, { temperature: 1.5, seed: String(seed) }), maxTokens: 12 })).tokens;
      const short = await seeded(11n);
      expect(await seeded(2n ** 63n + 11n)).toEqual(await seeded(2n ** 63n + 11n));
      const long = [await seeded(2n ** 32n + 11n), await seeded(2n ** 63n + 11n), await seeded(2n ** 64n - 1n)];
      expect(new Set([short, ...long].map((tokens) => tokens.join())).size).toBe(4);
    },
  },
  constraints: {
    param: "constraint",
    needing: (prompt) => held(prompt, ["yes"]),
    async holds(backend, prompt) {
      const texts = ["yes", "no"];
      const alone: (readonly number[])[] = [];
      for (const text of texts) {
        const { tokens, end } = await generate(backend, held(prompt, [text]));
        expect(tokens.length).toBeGreaterThan(0);
        expect(tokens.length).toBeLessThanOrEqual(text.length);
        expect(end).toMatchObject({ type: "finish", reason: "stop", usage: { completionTokens: tokens.length } });
        alone.push(tokens);
        expect((await generate(backend, held(prompt.toReversed(), [text]))).end).toMatchObject({ reason: "stop" });
      }
      for (const seed of [1, 2, 3, 4]) {
        const either = held(prompt, texts);
        const { tokens, end } = await generate(backend, { ...either, sampling: { ...either.sampling, temperature: 2, seed } });
        expect(end).toMatchObject({ reason: "stop" });
        expect(tokens.length).toBeLessThanOrEqual(3);
      }
      const either = (await generate(backend, held(prompt, texts))).tokens;
      expect(alone).toContainEqual(either);
      expect((await generate(backend, { ...held(prompt, ["yes, yes, yes"]), maxTokens: 1 })).end).toMatchObject({ reason: "length" });
      const pattern = { kind: "regex", text: "[a-z]{40}" } as const;
      const warm = { ...warmly(prompt), constraint: pattern, maxTokens: 40 };
      const whole = await generate(backend, warm);
      expect(whole.end).toMatchObject({ reason: "stop" });
      // Taken up again after any of its tokens: the same text goes on with the same tokens, forced ones too.
      for (const [request, cuts] of [
        [warm, [1, 3]],
        [{ ...held(prompt, ["forced, all of it"]), maxTokens: 40 }, [1, 2]],
      ] as const) {
        const { tokens } = request === warm ? whole : await generate(backend, request);
        for (const cut of cuts) {
          const rest = { ...request, prompt: Uint32Array.from([...prompt, ...tokens.slice(0, cut)]), continued: cut, maxTokens: 40 };
          expect((await generate(backend, rest)).tokens).toEqual(tokens.slice(cut));
        }
      }
      await holdsCalls(backend, prompt);
      const unheld = await backend.generate({ ...greedy(prompt), constraint: { kind: "json_schema", text: '{"if":{}}' } });
      const end = unheld.ok ? (await collect(unheld.value)).at(-1) : undefined;
      const failure = unheld.ok ? (end?.type === "error" ? end.failure : undefined) : unheld.failure;
      expect(failure).toBeDefined();
      // A server's words stay its own.
      if (failure?.code === "invalid_request") expect(failure.message).toContain('"if"');
    },
  },
  scored_tokens: {
    param: "scoredTokens",
    needing: (prompt) => ({ ...greedy(prompt), scoredTokens: [1, 2] }),
    async holds(backend, prompt) {
      const likeliest = await generate(backend, { ...greedy(prompt), maxTokens: 1, topLogprobs: 4 });
      const [told] = likeliest.all.flatMap((event) => (event.type === "token" ? [event.logprob?.top ?? []] : []));
      // Not in their order, and not all of them the likeliest.
      const known = (told ?? []).toReversed();
      const scoredTokens = known.map(([id]) => id);
      const scored = await generate(backend, { ...greedy(prompt), maxTokens: 1, scoredTokens });
      const [scores] = scored.all.flatMap((event) => (event.type === "token" ? [event.logprob?.top ?? []] : []));
      expect(scores?.map(([id]) => id)).toEqual(scoredTokens);
      for (const [at, [, logprob]] of known.entries()) expect(scores?.[at]?.[1]).toBeCloseTo(logprob, 4);
      const biased = { ...greedy(prompt), maxTokens: 1, scoredTokens };
      const warm = await generate(backend, { ...biased, sampling: { ...biased.sampling, temperature: 2, seed: 7 } });
      const [same] = warm.all.flatMap((event) => (event.type === "token" ? [event.logprob?.top ?? []] : []));
      for (const [at, [, logprob]] of known.entries()) expect(same?.[at]?.[1]).toBeCloseTo(logprob, 4);
    },
  },
  token_rules: {
    param: "allowedTokens",
    needing: (prompt) => ({ ...greedy(prompt), allowedTokens: [1] }),
    async holds(backend, prompt) {
      const [best = 0, second = 0] = (await generate(backend, greedy(prompt))).tokens;
      const allowed = [other(best), other(other(best))];
      const { tokens } = await generate(backend, { ...greedy(prompt), allowedTokens: allowed });
      expect(tokens).toHaveLength(4);
      expect(tokens.every((id) => allowed.includes(id))).toBe(true);
      const without = await generate(backend, { ...greedy(prompt), bannedSeries: [[best, second]] });
      expect(without.tokens[0]).toBe(best);
      expect(without.tokens[1]).not.toBe(second);
      expect((await generate(backend, { ...greedy(prompt), bannedSeries: [[best]] })).tokens).not.toContain(best);
    },
  },
};
