/** What a backend with the ability `states` must do with states that go in and come out. Run beside `backend-conformance.ts`. */
import type { ServiceFailure } from "../../workers/contracts/errors.ts";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { GenerateRequest, GenerationBackend, ModelDescription, StateSource } from "../../workers/contracts/engine.ts";
import { stateChunkBytes } from "../../workers/contracts/engine.ts";
import { decodeEvents } from "../../workers/contracts/event-stream.ts";
import {
  generate,
  greedy,
  openStream,
  settledFreeBytes,
  valueOf,
  type Generated,
  testedBackend,
  type TestedBackend,
} from "./generation.ts";
import { casesOf, type Can } from "./cases.ts";
import { broken, filesOf, onlyFile, sourceOf, streamOf, TestState } from "./state-files.ts";
import { pause } from "../../workers/waiting/within.ts";

export interface StateConformanceOptions {
  /** Ids that texts are made of. */
  readonly vocabulary: readonly number[];
  /** How many tokens of a text to cut, save and resume at; ascending. Some should lie before and behind a full window, on pages' edges and off. */
  readonly cuts: readonly number[];
  /** Two lengths at which the file is as long as it ever gets; null where the state is not constant, or that is too far for a test. */
  readonly full: readonly [number, number] | null;
  /** For each test; a real model may have to load first. */
  readonly timeoutMilliseconds: number;
}

type Changes = Partial<GenerateRequest>;

export function stateConformance(
  name: string,
  open: () => Promise<GenerationBackend> | GenerationBackend,
  options: StateConformanceOptions,
): void {
  const { vocabulary, cuts, full, timeoutMilliseconds: timeout } = options;
  const text = (length: number, seed = 0) =>
    Array.from({ length }, (_unused, at) => vocabulary[(at * 7 + ((at * at) % 11) + seed) % vocabulary.length] ?? 0);
  const longest = (cuts.at(-1) ?? 0) + 1;
  /** Before any window is full a file's length tells how many tokens it holds. */
  const few = 5;

  describe(`${name}: states`, { timeout }, () => {
    let backend: TestedBackend;
    let freeBytes: number;
    let can: Can;
    const events = (prompt: readonly number[], changes: Changes = {}) => generate(backend, { ...greedy(prompt), ...changes });
    /** After what the file has read. */
    const resumed = (file: Uint8Array, read: readonly number[], prompt: readonly number[], changes: Changes = {}) =>
      events(prompt, {
        ...changes,
        resume: { tokens: read.length, state: sourceOf(file, read), seen: changes.resume?.seen ?? new Uint32Array() },
      });
    const saved = async (prompt: readonly number[], changes: Changes = {}): Promise<Uint8Array> =>
      onlyFile((await events(prompt, { maxTokens: 0, ...changes, save: { at: [], end: true, fromPage: 0 } })).all);
    const idle = () =>
      expect
        .poll(
          async () => {
            const { running, waiting, freeStateBytes } = await backend.load();
            return [running + waiting, freeStateBytes];
          },
          { timeout, interval: 20 },
        )
        .toEqual([0, freeBytes]);

    beforeAll(async () => {
      backend = await testedBackend(await open());
      const [model] = valueOf(await backend.models()) as [ModelDescription];
      expect(model.abilities).toContain("states");
      can = casesOf(model);
      // Whatever a backend keeps of its longest sequence it has from here on.
      const at = model.abilities.includes("states_on_the_way") ? [longest - 1] : [];
      await events(text(longest), { maxTokens: 1, save: { at, end: true, fromPage: 0 } });
      await vi.waitFor(async () => expect(await backend.load()).toMatchObject({ running: 0, waiting: 0 }), { timeout, interval: 20 });
      freeBytes = await settledFreeBytes(backend);
    }, timeout);

    // Nobody's state may stay in memory.
    afterEach(idle, timeout);

    test("saved on the way at any cut and resumed: the tokens of a cold start", async () => {
      if (!can("states_on_the_way")) return;
      const prompt = text(longest);
      const cold = await events(prompt, { maxTokens: 6 });
      for (let at = 0; at < cuts.length; at += 16) {
        const some = cuts.slice(at, at + 16);
        const whole = await events(prompt, { maxTokens: 6, save: { at: some, end: false, fromPage: 0 } });
        expect(whole.tokens).toEqual(cold.tokens);
        const files = filesOf(whole.all);
        expect([...files.keys()]).toEqual(some);
        for (const [cut, file] of files) {
          const warm = await resumed(file, prompt.slice(0, cut), prompt.slice(cut), { maxTokens: 6 });
          expect([cut, warm.tokens]).toEqual([cut, cold.tokens]);
          expect(warm.all.filter(({ type }) => type === "restored")).toEqual([{ type: "restored", tokens: cut }]);
          expect(warm.end).toMatchObject({ usage: { promptTokens: prompt.length, completionTokens: 6, cachedTokens: cut } });
        }
      }
    });

    test("states come before the answer's tokens or after its end, in chunks, each with its own end", async () => {
      if (!can("states_on_the_way")) return;
      const { all } = await events(text(5), { maxTokens: 2, save: { at: [2, 5], end: true, fromPage: 0 } });
      const order = all.map((event) => ("tokens" in event ? `${event.type} ${String(event.tokens)}` : event.type));
      expect(order.filter((one, at) => one !== order[at - 1])).toEqual([
        "state 2",
        "saved 2",
        "state 5",
        "saved 5",
        "token",
        "finish",
        "state 7",
        "saved 7",
      ]);
      for (const event of all) if (event.type === "state") expect(event.bytes.length).toBeLessThanOrEqual(stateChunkBytes);
    });

    test.each(["length", "stop"] as const)("saved at an end by %s: the next turn goes on as if it had read everything", async (reason) => {
      const [prompt, more] = [text(40), text(9, 3)];
      const { tokens } = await events(prompt, { maxTokens: 5 });
      const stop = reason === "stop" ? { stopTokens: [tokens[4] ?? 0] } : {};
      const first = await events(prompt, { maxTokens: 5, ...stop, save: { at: [], end: true, fromPage: 0 } });
      expect(first.end).toMatchObject({ type: "finish", reason });
      const read = [...prompt, ...first.tokens];
      const next = await resumed(onlyFile(first.all), read, more, { maxTokens: 6 });
      expect(next.tokens).toEqual((await events([...read, ...more], { maxTokens: 6 })).tokens);
    });

    test("a conversation of many turns, each from the last one's file", async () => {
      let [read, file]: [number[], Uint8Array | undefined] = [[], undefined];
      for (let turn = 0; turn < 6; turn++) {
        const prompt = text(1 + 11 * (turn % 3), turn);
        const changes = { maxTokens: 1 + turn, save: { at: [], end: true, fromPage: 0 } };
        const cold = await events([...read, ...prompt], { maxTokens: 1 + turn });
        const answer: Generated = file === undefined ? await events(prompt, changes) : await resumed(file, read, prompt, changes);
        expect(answer.tokens).toEqual(cold.tokens);
        read = [...read, ...prompt, ...answer.tokens];
        file = onlyFile(answer.all);
      }
    });

    test("what is resumed beside other requests gives the same", async () => {
      const prompts = [0, 1, 2, 3].map((seed) => text(50 + seed, seed));
      const cold = await Promise.all(prompts.map(async (prompt) => (await events(prompt, { maxTokens: 8 })).tokens));
      const files = await Promise.all(prompts.map((prompt) => saved(prompt.slice(0, 45))));
      const warm = await Promise.all(
        prompts.map((prompt, at) => resumed(files[at] ?? new Uint8Array(), prompt.slice(0, 45), prompt.slice(45), { maxTokens: 8 })),
      );
      expect(warm.map(({ tokens }) => tokens)).toEqual(cold);
    });

    test.each<[string, Partial<GenerateRequest["sampling"]>]>([
      ["greedy", {}],
      ["by chance", { temperature: 1.5, seed: 7 }],
      ["with penalties", { repetitionPenalty: 1.4, presencePenalty: 0.8, frequencyPenalty: 0.6 }],
      ["with both", { temperature: 0.9, seed: 3, repetitionPenalty: 1.2, frequencyPenalty: 0.5 }],
    ])("a continued answer goes on as it would have: %s", async (_name, changes) => {
      if (!can("continued")) return;
      const prompt = text(37);
      const sampling = { ...greedy(prompt).sampling, ...changes };
      const whole = await events(prompt, { maxTokens: 10, sampling });
      const file = await saved(prompt.slice(0, 20));
      for (const continued of [1, 4, 9]) {
        const left = { maxTokens: 10 - continued, continued, sampling };
        const rest = whole.tokens.slice(continued);
        const again = [...prompt, ...whole.tokens.slice(0, continued)];
        expect((await events(again, left)).tokens).toEqual(rest);
        const seen = Uint32Array.from(new Set(prompt.slice(0, 20)));
        const resume = { tokens: 20, state: sourceOf(file, prompt.slice(0, 20)), seen };
        expect((await events(again.slice(20), { ...left, resume })).tokens).toEqual(rest);
      }
    });

    test("what an earlier attempt has sampled counts for minTokens, and not for maxTokens", async () => {
      if (!can("continued")) return;
      const prompt = text(8);
      const [first = 0, second = 0] = (await events(prompt, { maxTokens: 2 })).tokens;
      const free = await events([...prompt, first], { maxTokens: 3, continued: 1, minTokens: 1, stopTokens: [second] });
      expect(free.end).toMatchObject({ reason: "stop", usage: { completionTokens: 0 } });
      const held = await events([...prompt, first], { maxTokens: 3, continued: 1, minTokens: 3, stopTokens: [second] });
      expect(held.tokens.length).toBeGreaterThanOrEqual(2);
    });

    test("from a page on: the same file without the rows of the pages before", async () => {
      const prompt = text(longest);
      const whole = await saved(prompt);
      const groups = groupsOf(whole);
      if (groups.length !== 1) return;
      const [{ window, rowBytes }] = groups as [{ window: number; rowBytes: number }];
      const kept = new DataView(whole.buffer).getUint32(116, true);
      const from = window === 0 ? 0 : Math.max(0, prompt.length + 1 - window);
      const seen = [...Array(Math.min(kept, from)).keys(), ...Array.from({ length: prompt.length - from }, (_unused, at) => from + at)];
      const rowsAt = whole.length - seen.length * rowBytes;
      for (const fromPage of [0, 1, Math.floor(prompt.length / 32), 1 + Math.floor(prompt.length / 32)]) {
        const { all } = await events(prompt, { maxTokens: 0, save: { at: [], end: true, fromPage } });
        const left = seen.flatMap((position, at) =>
          position >= 32 * fromPage ? [...whole.subarray(rowsAt + at * rowBytes, rowsAt + (at + 1) * rowBytes)] : [],
        );
        expect([...onlyFile(all)]).toEqual([...whole.subarray(0, rowsAt), ...left]);
      }
    });

    if (full !== null)
      test("a full state's file has one size, however long the text", async () => {
        const [one, other] = full;
        const [short, long] = [await saved(text(one)), await saved(text(other))];
        expect(long.length).toBe(short.length);
        const next = text(3, 5);
        expect((await resumed(long, text(other), next)).tokens).toEqual((await events([...text(other), ...next])).tokens);
      });

    test.each<[string, (file: Uint8Array<ArrayBuffer>) => ReadableStream<Uint8Array>, number]>([
      ["that is empty", () => streamOf(new Uint8Array()), 0],
      ["cut in its header", (file) => streamOf(file.subarray(0, 40)), 0],
      ["cut short", (file) => streamOf(file.subarray(0, -1)), 0],
      ["with a byte too many", (file) => streamOf(Uint8Array.from([...file, 0])), 0],
      ["of another kind", (file) => streamOf(file.with(0, 0x54)), 0],
      ["of another version", (file) => streamOf(file.with(4, 2)), 0],
      ["of another form of model", (file) => streamOf(file.with(20, (file[20] ?? 0) ^ 1)), 0],
      ["of another model", (file) => streamOf(file.with(50, (file[50] ?? 0) ^ 1)), 0],
      ["of another tokenizer", (file) => streamOf(file.with(90, (file[90] ?? 0) ^ 1)), 0],
      ["of more tokens than there are rows", (file) => streamOf(file.with(104, (file[104] ?? 0) + 1)), 1],
      ["of fewer tokens than was said", (file) => streamOf(file), 1],
      ["that breaks off", (file) => broken(file.subarray(0, -9)), 0],
    ])("a file %s is refused, and the next request is answered", async (_name, spoil, more) => {
      const file = Uint8Array.from(await saved(text(few)));
      const state = sourceOf(spoil(file), text(few + more));
      const request = { ...greedy([1]), resume: { tokens: few + more, state, seen: new Uint32Array() } };
      const { all } = await generate(backend, request);
      expect(all).toMatchObject([{ type: "error", failure: { code: "state_rejected", retryable: true } }]);
      expect((await resumed(file, text(few), [1], { maxTokens: 2 })).tokens).toEqual(
        (await events([...text(few), 1], { maxTokens: 2 })).tokens,
      );
    });

    test("a reader that leaves while a state is saved on the way leaves no state behind", async () => {
      if (!can("states_on_the_way")) return;
      const onTheWay = await openStream(backend, { ...greedy(text(40)), save: { at: [20], end: true, fromPage: 0 } });
      for await (const event of decodeEvents(onTheWay)) if (event.type === "state") break;
      await idle();
    });

    test("a reader that leaves while a state is saved, or before it is restored, leaves no state behind", async () => {
      const saving = await openStream(backend, { ...greedy(text(40)), save: { at: [], end: true, fromPage: 0 } });
      for await (const event of decodeEvents(saving, undefined, { afterFinish: true })) if (event.type === "state") break;
      await idle();
      const file = await saved(text(40));
      const never = new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(file.slice(0, file.length / 2));
        },
      });
      const restoring = await openStream(backend, {
        ...greedy([1]),
        resume: { tokens: 40, state: sourceOf(never, text(40)), seen: new Uint32Array() },
      });
      await pause(50);
      await restoring.cancel();
      await idle();
    });

    test("a state that can't be opened is refused by the code that asks for another start", async () => {
      const state = new TestState(() => null);
      const outcome = await backend.generate({ ...greedy([1]), resume: { tokens: 40, state, seen: new Uint32Array() } });
      expect(outcome).toMatchObject({ ok: false, failure: { code: "state_rejected", retryable: true } });
      expect((outcome as { failure: ServiceFailure }).failure.message).toContain("the store is away");
      expect(state.opened).toBe(1);
    });

    test("the state of a request that is refused is not opened", async () => {
      const state = new TestState(() => streamOf(new Uint8Array()));
      const outcome = await backend.generate({ ...greedy([]), resume: { tokens: 40, state, seen: new Uint32Array() } });
      expect(outcome).toMatchObject({ ok: false, failure: { code: "invalid_request" } });
      expect(state.opened).toBe(0);
    });

    test.each<[param: string, changes: () => Changes]>([
      ["continued", () => ({ continued: 4 })],
      ["resume.state", () => ({ resume: { tokens: 9, state: null as unknown as StateSource, seen: new Uint32Array() } })],
      ["continued", () => ({ continued: -1 })],
      ["resume.tokens", () => ({ resume: { tokens: 0, state: sourceOf(new Uint8Array(), text(9)), seen: new Uint32Array() } })],
      ["resume.tokens", () => ({ resume: { tokens: 1.5, state: sourceOf(new Uint8Array(), text(9)), seen: new Uint32Array() } })],
      [
        "resume.seen[1]",
        () => ({ resume: { tokens: 9, state: sourceOf(new Uint8Array(), text(9)), seen: Uint32Array.of(1, 0xffffffff) } }),
      ],
      [
        "promptLogprobs",
        () => ({ promptLogprobs: 0, resume: { tokens: 9, state: sourceOf(new Uint8Array(), text(9)), seen: new Uint32Array() } }),
      ],
      ["save.at[0]", () => ({ save: { at: [0], end: true, fromPage: 0 } })],
      ["save.at[1]", () => ({ save: { at: [2, 2], end: true, fromPage: 0 } })],
      ["save.at[0]", () => ({ save: { at: [4], end: true, fromPage: 0 } })],
      [
        "save.at[0]",
        () => ({
          resume: { tokens: 9, state: sourceOf(new Uint8Array(), text(9)), seen: new Uint32Array() },
          save: { at: [9], end: true, fromPage: 0 },
        }),
      ],
      ["save.at", () => ({ save: { at: Array.from({ length: 17 }, (_unused, at) => at + 1), end: true, fromPage: 0 } })],
      ["save.end", () => ({ save: { at: [], end: 1 as unknown as boolean, fromPage: 0 } })],
      ["save.recurrent", () => ({ save: { at: [], end: true, fromPage: 0, recurrent: "f16" as "bf16" } })],
      ["save.fromPage", () => ({ save: { at: [], end: true, fromPage: -1 } })],
    ])("refuses by name: %s", async (param, changes) => {
      const outcome = await backend.generate({ ...greedy(text(3)), ...changes() });
      expect(outcome).toMatchObject({ ok: false, failure: { code: "invalid_request", status: 400, param, retryable: false } });
    });

    test("a description names what states belong to", async () => {
      const [{ tokenizerDigest, digest }] = valueOf(await backend.models()) as [ModelDescription];
      const header = await saved(text(3));
      expect(hex(header.subarray(40, 72))).toBe(digest);
      expect(hex(header.subarray(72, 104))).toBe(tokenizerDigest);
    });
  });
}

function groupsOf(file: Uint8Array): { readonly window: number; readonly rowBytes: number }[] {
  const view = new DataView(file.buffer, file.byteOffset);
  return Array.from({ length: view.getUint32(132, true) }, (_unused, at) => ({
    window: view.getUint32(136 + 8 * at, true),
    rowBytes: view.getUint32(140 + 8 * at, true),
  }));
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
