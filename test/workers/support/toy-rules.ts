/** What a request forbids the toy to choose: stop tokens too early, tokens that are not allowed, banned series, what leads out of a constraint. */
import type { GrammarStep } from "../../../workers/contracts/constraint.ts";
import type { OpenedRequest } from "../../../workers/contracts/request/open-state.ts";
import type { GrammarTexts, Text } from "../../../workers/grammar/texts.ts";
import { tokensOf } from "../../../workers/grammar/wasm-grammar.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { endOfTurn, tinyTokenizer } from "./tiny-tokenizer.ts";

/** The real library, which `toy-grammar.ts` brings, over the tiny tokenizer. */
let texts: GrammarTexts | undefined;

export function useTexts(some: GrammarTexts): void {
  texts = some;
}

const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
const tokensWith = (size: number) => ({ digest: String(size), tokens: () => tokensOf(tokenizer, size, [endOfTurn]) });

export class ToyRules {
  readonly #request: OpenedRequest;
  readonly #vocabularySize: number;
  #text: Text | undefined;
  #step: GrammarStep | undefined;
  #due: number[] = [];

  private constructor(request: OpenedRequest, vocabularySize: number) {
    this.#request = request;
    this.#vocabularySize = vocabularySize;
  }

  /** @throws ServiceError where the answer can't be held to its constraint. */
  static of(request: OpenedRequest, vocabularySize: number): ToyRules {
    const rules = new ToyRules(request, vocabularySize);
    const { constraint, prompt, continued = 0 } = request;
    if (constraint === undefined) return rules;
    if (texts === undefined) throw new Error("a test with constraints imports toy-grammar.ts");
    const { text, step } = texts.open(constraint, tokensWith(vocabularySize), prompt.slice(prompt.length - continued));
    rules.#text = text;
    rules.#take(step);
    return rules;
  }

  /** After an answer of these tokens; undefined where it is whole and nothing may follow. */
  forbidden(answer: readonly number[]): ReadonlySet<number> | undefined {
    const { minTokens, stopTokens, allowedTokens, bannedSeries = [] } = this.#request;
    const forbidden = new Set(answer.length < minTokens ? stopTokens : []);
    const keepOnly = (isAllowed: (id: number) => boolean): void => {
      for (let id = 0; id < this.#vocabularySize; id += 1) if (!isAllowed(id)) forbidden.add(id);
    };
    for (const series of bannedSeries) {
      const before = series.slice(0, -1);
      const isBegun = before.length <= answer.length && before.every((id, at) => answer[answer.length - before.length + at] === id);
      if (isBegun) forbidden.add(series.at(-1) ?? 0);
    }
    if (allowedTokens !== undefined) keepOnly((id) => allowedTokens.includes(id));
    if (this.#step === undefined) return forbidden;
    const [due] = this.#due;
    const { mask, mayEnd } = this.#step;
    if (due === undefined && mask === null) return undefined;
    const isInMask = (id: number) => (((mask?.[id >> 3] ?? 0) >> (id & 7)) & 1) === 1;
    keepOnly((id) => (due === undefined ? isInMask(id) || (mayEnd && stopTokens.includes(id)) : id === due));
    return forbidden;
  }

  chosen(id: number): void {
    if (this.#due.length > 0) this.#due.shift();
    else if (this.#text !== undefined) this.#take(this.#text.accept(Uint32Array.of(id)));
  }

  close(): void {
    this.#text?.close();
  }

  #take(step: GrammarStep): void {
    this.#step = step;
    this.#due = [...step.forced];
  }
}
