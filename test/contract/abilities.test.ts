/** A backend that says it can what it can't is found out by the suite, and what it doesn't say is left out with a reason. */
import { describe, expect, test, vi } from "vitest";
import { missingAbility } from "../../workers/contracts/request/missing-ability.ts";
import { abilities, type Ability } from "../../workers/contracts/abilities.ts";
import type { GenerateRequest } from "../../workers/contracts/engine.ts";
import { endOfTurn, tinyManifest, tinyTokenizer } from "../workers/support/tiny-tokenizer.ts";
import { ToyBackend } from "../workers/support/toy-backend.ts";
import "../workers/support/toy-grammar.ts";
import { abilityProofs } from "./ability-proofs.ts";
import { casesOf } from "./cases.ts";
import { testedBackend } from "./generation.ts";

const prompt = [10, 20, 30, 40, 50];
const seedBits = 32;

/** Takes a request as if it had said nothing of what needs an ability. */
const ignoring: Readonly<Record<Ability, (request: GenerateRequest) => GenerateRequest>> = {
  states: ({ resume: _resume, save: _save, ...request }) => request,
  states_on_the_way: ({ save, ...request }) => ({ ...request, ...(save === undefined ? {} : { save: { ...save, at: [] } }) }),
  continued: ({ continued: _continued, ...request }) => request,
  prompt_logprobs: (request) => ({ ...request, promptLogprobs: null }),
  logit_bias: (request) => ({ ...request, sampling: { ...request.sampling, logitBias: [] } }),
  long_seeds: (request) => {
    const seed = Number(BigInt.asUintN(seedBits, BigInt(request.sampling.seed)));
    return { ...request, sampling: { ...request.sampling, seed } };
  },
  constraints: ({ constraint: _constraint, ...request }) => request,
  scored_tokens: ({ scoredTokens: _scored, ...request }) => request,
  token_rules: ({ allowedTokens: _allowed, bannedSeries: _banned, ...request }) => request,
};

class LyingBackend extends ToyBackend {
  readonly #ignore: (request: GenerateRequest) => GenerateRequest;

  constructor(lacks?: Ability) {
    super({ vocabularySize: tinyTokenizer.tokens.length, contextLength: tinyManifest.contextLength, endOfTurn });
    this.#ignore = lacks === undefined ? (request) => request : ignoring[lacks];
  }

  override generate(request: GenerateRequest) {
    return super.generate(this.#ignore(request));
  }
}

describe.each(abilities)("the ability %s", (ability) => {
  const { holds, needing, param } = abilityProofs[ability];

  test("is proven of a backend that has it, and of none that only says so", async () => {
    await holds(await testedBackend(new LyingBackend()), prompt);
    const lying = await testedBackend(new LyingBackend(ability));
    await expect(holds(lying, prompt)).rejects.toThrow();
  });

  test("is needed by its own field alone", () => {
    const others = abilities.filter((other) => other !== ability);
    expect(missingAbility(needing(prompt), others)).toEqual({ ability, param });
    expect(missingAbility(needing(prompt), abilities)).toBeUndefined();
  });

  test("is left out where the description does not name it, with a reason that is printed", () => {
    const printed = vi.spyOn(console, "info").mockImplementation(() => undefined);
    const can = casesOf({ id: "model", abilities: [ability] });
    expect(abilities.filter((one) => can(one))).toEqual([ability]);
    expect(printed.mock.calls.map(([line]) => String(line))).toEqual(
      abilities
        .filter((one) => one !== ability)
        .map((one) => expect.stringMatching(new RegExp(`^left out: .*'model'.*'${one}'$`)) as string),
    );
    printed.mockRestore();
  });
});
