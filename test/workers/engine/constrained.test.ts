/** Answers that are held to a constraint, in the scheduler: what a scripted grammar says is what the engine's sequence is told. */
import { describe, expect, it } from "vitest";
import type { GrammarOrder, GrammarService, GrammarStep, OpenedText } from "../../../workers/contracts/constraint.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import { collect, request, tokensOf } from "./requests.ts";
import { bench } from "./scheduler-bench.ts";

const constraint = { kind: "regex", text: "a" } as const;
const vocabulary = 1000;

/** Every second step forces two tokens; the text is whole after so many tokens. */
class ScriptedGrammar implements GrammarService {
  readonly opened: (readonly number[])[] = [];
  open_ = 0;
  /** Breaks the calls of these numbers. */
  breaks = new Set<number>();
  #calls = 0;
  readonly #length: number;

  constructor(length: number) {
    this.#length = length;
  }

  check(): Promise<Outcome<null>> {
    return Promise.resolve({ ok: true, value: null });
  }

  open({ tokens }: GrammarOrder): Promise<Outcome<OpenedText>> {
    this.opened.push([...tokens]);
    this.#call();
    this.open_ += 1;
    const text = [...tokens];
    const step = () => this.#step(text);
    const matcher = {
      accept: async (more: Uint32Array) => {
        await Promise.resolve();
        this.#call();
        text.push(...more);
        return { ok: true, value: step() } as const;
      },
      rollback: () => Promise.reject(new Error("nobody takes tokens back")),
      [Symbol.dispose]: () => void (this.open_ -= 1),
    };
    return Promise.resolve({ ok: true, value: { matcher, step: step() } });
  }

  #call(): void {
    if (this.breaks.has(this.#calls++)) throw new Error("scripted crash");
  }

  /** Forced tokens are taken one by one, so that a text may begin anywhere. */
  #step(text: number[]): GrammarStep {
    const forced: number[] = [];
    while (text.length < this.#length && text.length % 4 >= 2) {
      forced.push(500 + text.length);
      text.push(500 + text.length);
    }
    const mask = text.length >= this.#length ? null : new Uint8Array(vocabulary / 8).fill(255);
    return { forced: Uint32Array.from(forced), mask, mayEnd: mask === null };
  }
}

const held = { constraint, maxTokens: 50 };

describe("a constrained answer", () => {
  it("reads forced tokens without choosing them, and ends where its text is whole", async () => {
    const grammar = new ScriptedGrammar(10);
    const { scheduler, engine, settled } = bench({ grammar });
    const events = await collect(scheduler.submit(request(held)));
    const tokens = tokensOf(events);
    expect(tokens).toHaveLength(10);
    expect([2, 3, 6, 7].map((at) => tokens[at])).toEqual([502, 503, 506, 507]);
    expect(events.at(-1)).toMatchObject({ type: "finish", reason: "stop", usage: { completionTokens: 10 } });
    // The prompt, then what was chosen with what followed from it.
    expect(engine.plans.map((plan) => plan[1])).toEqual([3, 1, 3, 1, 3, 1]);
    await settled();
    expect(grammar.open_).toBe(0);
    expect(engine.openSequences).toBe(0);
  });

  it("chooses each token where something is told of each: the same ones come", async () => {
    const run = async (changes: object) =>
      tokensOf(await collect(bench({ grammar: new ScriptedGrammar(10) }).scheduler.submit(request({ ...held, ...changes }))));
    const plain = await run({});
    expect((await run({ topLogprobs: 0 })).length).toBe(plain.length);
    expect(await run({ maxTokens: 3 })).toEqual(plain.slice(0, 3));
    expect(await run({ maxTokens: 4 })).toEqual(plain.slice(0, 4));
  });

  it("goes on when the grammar's Worker was gone, with all of its tokens", async () => {
    const whole = tokensOf(await collect(bench({ grammar: new ScriptedGrammar(10) }).scheduler.submit(request(held))));
    for (const broken of [0, 1, 3, 5]) {
      const grammar = new ScriptedGrammar(10);
      grammar.breaks = new Set([broken, broken + 1]);
      const events = await collect(bench({ grammar }).scheduler.submit(request(held)));
      expect(tokensOf(events)).toEqual(whole);
      expect(grammar.opened.at(-1)).toEqual(whole.slice(0, grammar.opened.at(-1)?.length));
    }
  });

  it("begins where an earlier attempt's tokens end", async () => {
    const whole = tokensOf(await collect(bench({ grammar: new ScriptedGrammar(10) }).scheduler.submit(request(held))));
    for (const cut of [1, 2, 3, 5]) {
      const grammar = new ScriptedGrammar(10);
      const rest = request({ ...held, prompt: [1, 2, 3, ...whole.slice(0, cut)], continued: cut });
      expect(tokensOf(await collect(bench({ grammar }).scheduler.submit(rest)))).toEqual(whole.slice(cut));
      expect(grammar.opened).toEqual([whole.slice(0, cut)]);
    }
  });

  it("ends by a failure that the grammar's Worker gives, and one that cannot be reached in time", async () => {
    const failure = { code: "invalid_request", status: 400, message: "no", param: "constraint", retryable: false } as const;
    const refusing = {
      check: () => Promise.resolve({ ok: false, failure } as const),
      open: () => Promise.resolve({ ok: false, failure } as const),
    };
    expect(await collect(bench({ grammar: refusing }).scheduler.submit(request(held)))).toEqual([{ type: "error", failure }]);
    const gone = { check: refusing.check, open: () => Promise.reject(new Error("gone")) };
    const [end] = await collect(bench({ grammar: gone }).scheduler.submit(request(held)));
    expect(end).toMatchObject({ type: "error", failure: { code: "engine_unavailable", retryable: true } });
  });

  it("is refused by an engine without a grammar service, and costs others nothing", async () => {
    const { scheduler } = bench();
    expect(scheduler.submit(request(held))).toMatchObject({ ok: false, failure: { param: "constraint", status: 400 } });
    const grammar = new ScriptedGrammar(10);
    await collect(bench({ grammar }).scheduler.submit(request({ maxTokens: 5 })));
    expect(grammar.opened).toEqual([]);
  });
});
