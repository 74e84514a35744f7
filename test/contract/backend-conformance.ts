/** What every generation backend must do, whatever computes its tokens. Run it against each implementation; see `backends.test.ts`. */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { GenerateEvent, GenerateRequest, GenerationBackend, ModelDescription } from "../../workers/contracts/engine.ts";
import { addSpikes, layerTotals, noSpikes } from "../../workers/contracts/spikes.ts";
import { missingAbility } from "../../workers/contracts/request/missing-ability.ts";
import { abilities } from "../../workers/contracts/abilities.ts";
import { abilityProofs } from "./ability-proofs.ts";
import { casesOf, type Can } from "./cases.ts";
import { collect, generate, greedy, openStream, valueOf, testedBackend, type TestedBackend, type TestRequest } from "./generation.ts";
import { pause } from "../../workers/waiting/within.ts";

export interface ConformanceOptions {
  /** Ids that make a sensible prompt for the backend's model. */
  readonly prompt: readonly number[];
  /** For each test; a real model may have to load first. */
  readonly timeoutMilliseconds: number;
  /** Largest difference between two computations of one log-probability: by prompt scoring and by generation. */
  readonly logprobTolerance: number;
}

export function backendConformance(
  name: string,
  open: () => Promise<GenerationBackend> | GenerationBackend,
  options: ConformanceOptions,
): void {
  const { timeoutMilliseconds: timeout, logprobTolerance } = options;
  const patience = { timeout, interval: 20 };

  describe(name, { timeout }, () => {
    let backend: TestedBackend;
    let model: ModelDescription;
    let can: Can;
    const request = (changes: Partial<GenerateRequest> = {}): TestRequest => ({ ...greedy(options.prompt), ...changes });
    const events = (changes: Partial<GenerateRequest> = {}) => generate(backend, request(changes));
    const idle = () =>
      expect
        .poll(async () => {
          const { running, waiting } = await backend.load();
          return running + waiting;
        }, patience)
        .toBe(0);

    beforeAll(async () => {
      backend = await testedBackend(await open());
      [model] = valueOf(await backend.models()) as [ModelDescription];
      can = casesOf(model);
    }, timeout);

    // Whatever a test leaves unread must not go on working.
    afterEach(idle, timeout);

    test.each<[string, Partial<ModelDescription>]>([
      ["another id", { id: "another-model" }],
      ["other weights under its id", { digest: "f".repeat(64) }],
    ])("refuses a model that it has not: %s", async (_name, other) => {
      const { id, digest, tokenizerDigest } = { ...model, ...other };
      const outcome = await backend.generate(request({ model: { id, digest, tokenizerDigest } }));
      expect(outcome).toMatchObject({ ok: false, failure: { code: "model_not_found", status: 404, param: "model", retryable: false } });
    });

    test("describes a model that does not change", async () => {
      expect(model.id).not.toBe("");
      expect(model.digest).toMatch(/^[0-9a-f]{64}$/);
      expect(model.vocabularySize).toBeGreaterThan(Math.max(...options.prompt));
      expect(model.contextLength).toBeGreaterThan(64);
      expect(valueOf(await backend.models())[0]).toEqual(model);
    });

    test.each(abilities)("does what an ability promises, where it has it: %s", async (ability) => {
      if (can(ability)) await abilityProofs[ability].holds(backend, options.prompt);
    });

    test.each(abilities)("refuses by name what needs an ability that it has not: %s", async (ability) => {
      const needing = abilityProofs[ability].needing(options.prompt);
      const missing = missingAbility(needing, model.abilities);
      const outcome = await backend.generate(needing);
      if (outcome.ok) await outcome.value.cancel();
      if (missing === undefined) expect(outcome).toMatchObject({ ok: true });
      else {
        const { param } = missing;
        expect(outcome).toMatchObject({ ok: false, failure: { code: "invalid_request", status: 400, param, retryable: false } });
      }
    });

    test("is ready once it has produced a token", async () => {
      expect(valueOf(await backend.ready())).toBeNull();
      expect((await backend.load()).loaded).toBe(true);
    });

    test("greedy: as many tokens as asked for, the same every time, and a true account of them", async () => {
      const first = await events({ maxTokens: 8 });
      expect(first.tokens).toHaveLength(8);
      expect(first.tokens.every((id) => Number.isInteger(id) && id >= 0 && id < model.vocabularySize)).toBe(true);
      expect(first.end).toMatchObject({
        type: "finish",
        reason: "length",
        usage: { promptTokens: options.prompt.length, completionTokens: 8 },
      });
      expect((await events({ maxTokens: 8 })).tokens).toEqual(first.tokens);
      expect((await events({ maxTokens: 3 })).tokens).toEqual(first.tokens.slice(0, 3));
    });

    test("a stream is at most one prompt event, tokens, one terminal event, and nothing after it", async () => {
      const promptLogprobs = model.abilities.includes("prompt_logprobs") ? 0 : null;
      const all = await collect(await openStream(backend, request({ maxTokens: 4, promptLogprobs })));
      expect(all.map((event) => event.type)).toEqual([
        ...(promptLogprobs === null ? [] : ["prompt"]),
        "token",
        "token",
        "token",
        "token",
        "finish",
      ]);
    });

    test("without log-probabilities none are sent", async () => {
      const { all } = await events({ maxTokens: 2 });
      const tokens = all.filter((event) => event.type === "token");
      expect(tokens.map((event) => Object.keys(event).toSorted())).toEqual([
        ["id", "type"],
        ["id", "type"],
      ]);
    });

    test("log-probabilities: best first, as many as asked for, and greedy takes the best", async () => {
      const { all } = await events({ maxTokens: 4, topLogprobs: 3 });
      const tokens = all.filter((event) => event.type === "token");
      expect(tokens).toHaveLength(4);
      for (const { id, logprob } of tokens) {
        const top = logprob?.top ?? [];
        expect(logprob?.id).toBe(id);
        expect(top).toHaveLength(3);
        expect(top[0]).toEqual([id, logprob?.logprob]);
        expect(top.map(([, value]) => value)).toEqual(top.map(([, value]) => value).toSorted((left, right) => right - left));
        expect(top.every(([, value]) => Number.isFinite(value) && value <= 0)).toBe(true);
      }
      expect(tokens.map(({ id }) => id)).toEqual((await events({ maxTokens: 4 })).tokens);
    });

    test("scoring a text agrees with having generated it", async () => {
      if (!can("prompt_logprobs")) return;
      const { all, tokens } = await events({ maxTokens: 4, topLogprobs: 0 });
      const generated = all.flatMap((event) => (event.type === "token" ? [event.logprob?.logprob ?? NaN] : []));
      const scored = await events({ prompt: Uint32Array.from([...options.prompt, ...tokens]), maxTokens: 0, promptLogprobs: 0 });
      const scores = scored.all[0]?.type === "prompt" ? scored.all[0].logprobs.slice(-4) : [];
      for (const [position, score] of scores.entries()) {
        expect(Math.abs((score?.logprob ?? NaN) - (generated[position] ?? NaN))).toBeLessThanOrEqual(logprobTolerance);
      }
      expect(scores).toHaveLength(4);
    });

    test("a stop token ends the generation and is reported, not sent", async () => {
      const { tokens } = await events({ maxTokens: 8 });
      const stop = tokens[3] ?? 0;
      const before = tokens.slice(0, tokens.indexOf(stop));
      const stopped = await events({ maxTokens: 8, stopTokens: [stop] });
      expect(stopped.tokens).toEqual(before);
      expect(stopped.end).toMatchObject({ type: "finish", reason: "stop", stopToken: stop, usage: { completionTokens: before.length } });
    });

    test("a stop token cannot be chosen before minTokens", async () => {
      const { tokens } = await events({ maxTokens: 1 });
      const stop = tokens[0] ?? 0;
      const forced = await events({ maxTokens: 5, minTokens: 4, stopTokens: [stop] });
      expect(forced.tokens.length).toBeGreaterThanOrEqual(4);
      expect(forced.tokens).not.toContain(stop);
    });

    test("same seed, same tokens; other seeds, other tokens", async () => {
      const seeded = (seed: number) => events({ maxTokens: 12, sampling: { ...request().sampling, temperature: 1.5, seed } });
      const first = (await seeded(11)).tokens;
      expect((await seeded(11)).tokens).toEqual(first);
      const others = await Promise.all([seeded(12), seeded(13), seeded(4_294_967_295)]);
      expect(others.some(({ tokens }) => tokens.join() !== first.join())).toBe(true);
    });

    test("what runs beside a request does not change its tokens", async () => {
      const variants = [0, 1, 2, 3].map((at) => ({
        maxTokens: 6,
        prompt: Uint32Array.from(options.prompt.slice(at % options.prompt.length)),
        sampling: { ...request().sampling, temperature: at % 2, seed: at },
      }));
      const alone: number[][] = [];
      for (const variant of variants) alone.push((await events(variant)).tokens);
      const together = await Promise.all([...variants, ...variants].map((variant) => events(variant)));
      expect(together.map(({ tokens }) => tokens)).toEqual([...alone, ...alone]);
    });

    test.each<readonly [name: string, code: string, changes: (model: ModelDescription) => Partial<GenerateRequest>]>([
      ["an empty prompt", "invalid_request", () => ({ prompt: new Uint32Array() })],
      ["a token id outside the vocabulary", "invalid_request", ({ vocabularySize }) => ({ prompt: Uint32Array.of(vocabularySize) })],
      ["the largest token id there is", "invalid_request", () => ({ prompt: Uint32Array.of(1, 0xffffffff) })],
      [
        "a prompt beyond the context",
        "context_length_exceeded",
        ({ contextLength }) => ({ prompt: new Uint32Array(contextLength + 1).fill(1), maxTokens: 0 }),
      ],
      ["more tokens than the context leaves", "context_length_exceeded", ({ contextLength }) => ({ maxTokens: contextLength })],
    ])("refuses %s before it starts", async (_name, code, changes) => {
      const outcome = await backend.generate(request(changes(model)));
      expect(outcome).toMatchObject({ ok: false, failure: { code, status: 400, retryable: false } });
      expect(outcome.ok ? "" : outcome.failure.message).not.toBe("");
    });

    test("spikes are counted where the model has some and a request asks, and refused where it has none", async () => {
      const outcome = await backend.generate(request({ maxTokens: 3, countSpikes: true }));
      if ((model.spikes ?? "off") === "off") {
        expect(outcome).toMatchObject({ ok: false, failure: { code: "invalid_request", status: 400, param: "countSpikes" } });
        return;
      }
      const all = await collect(valueOf(outcome));
      const totals = all.flatMap((event) => (event.type === "token" && event.spikes !== undefined ? [event.spikes] : []));
      expect(totals).toHaveLength(3);
      expect(totals.map(({ channels }) => channels)).toEqual(totals.map(({ channels }) => channels).toSorted((one, other) => one - other));
      const end = all.at(-1);
      const layers = layerTotals((end?.type === "finish" ? end.spikes : undefined) ?? []);
      expect(layers.length).toBeGreaterThan(0);
      expect(layers.reduce(addSpikes, noSpikes)).toEqual(totals.at(-1));
      for (const { channels, silent, spikes, windows } of layers) {
        expect(silent).toBeLessThan(channels);
        expect(windows[1] + 2 * windows[2] + 3 * windows[3]).toBe(spikes);
      }
    });

    test("the state is told where the backend knows it and a request asks", async () => {
      if (model.state === undefined) return;
      const { all } = await events({ maxTokens: 3, reportState: true });
      const told = all.flatMap((event) => (event.type === "token" || event.type === "finish" ? [event.state] : []));
      const read = options.prompt.length;
      expect(told.map((state) => state?.tokens)).toEqual([read, read + 1, read + 2, read + 2]);
      for (const state of told) {
        expect(state?.bytes).toBeGreaterThan(0);
        expect(state?.bytes).toBeLessThanOrEqual(model.state.bytes);
      }
      expect((await events({ maxTokens: 1 })).all.some((event) => "state" in event)).toBe(false);
    });

    test("a reader that leaves stops the work", async () => {
      const room = model.contextLength - options.prompt.length;
      const reader = (await openStream(backend, request({ maxTokens: room }))).getReader();
      await reader.read();
      await reader.cancel();
      await idle();
      const { generatedTokens } = await backend.load();
      await pause(200);
      expect((await backend.load()).generatedTokens).toBe(generatedTokens);
    });

    test("readers that leave before their first token are let go, and the next request is answered", async () => {
      const streams = await Promise.all(Array.from({ length: 40 }, () => openStream(backend, request({ maxTokens: 32 }))));
      await Promise.all(streams.map((stream) => stream.cancel()));
      expect((await events({ maxTokens: 2 })).tokens).toHaveLength(2);
      await idle();
    });

    test("many at once all end, each with one terminal event", async () => {
      const results = await Promise.all(Array.from({ length: 24 }, (_unused, at) => events({ maxTokens: 1 + (at % 5) })));
      expect(results.map(({ tokens }) => tokens.length)).toEqual(results.map((_result, at) => 1 + (at % 5)));
      const terminal = (event: GenerateEvent) => event.type === "finish" || event.type === "error";
      expect(results.every(({ all }) => all.filter(terminal).length === 1)).toBe(true);
    });
  });
}
