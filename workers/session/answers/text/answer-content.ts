/** What an answer's text is to its readers: text as it comes or, where it may call functions, what is said and its calls. */
import type { DeltaContent, ScoredToken } from "../../../contracts/choice.ts";
import type { FunctionCall } from "../../../contracts/transcript.ts";
import { CallParser, type ParsedDelta } from "./call-parser.ts";
import type { AssembledText } from "./text-assembler.ts";

export class AnswerContent {
  readonly #parser: CallParser | undefined;
  /** Of text that is held back. */
  #tokens: ScoredToken[] = [];

  /** @param id is what ids of calls begin with; all is text where there is none. */
  constructor(id: string | undefined) {
    this.#parser = id === undefined ? undefined : new CallParser(id);
  }

  get looksForCalls(): boolean {
    return this.#parser !== undefined;
  }

  /** What is said; empty where nothing is looked for in it. */
  get text(): string {
    return this.#parser?.text ?? "";
  }

  get calls(): readonly FunctionCall[] {
    return this.#parser?.calls ?? [];
  }

  /** Whether there are calls, each of which has its end. */
  get isWhole(): boolean {
    return this.#parser?.isWhole === true;
  }

  push({ text, tokens }: AssembledText): DeltaContent[] {
    if (this.#parser === undefined) return text === "" && tokens.length === 0 ? [] : [{ kind: "text", text, tokens }];
    this.#tokens.push(...tokens);
    return this.#contents(this.#parser.push(text));
  }

  /** What was held back, once no more text can come. */
  finish(): DeltaContent[] {
    if (this.#parser === undefined) return [];
    const contents = this.#contents(this.#parser.finish());
    if (this.#tokens.length === 0) return contents;
    const last = this.#parser.calls.length - 1;
    const rest: ParsedDelta = last < 0 ? { kind: "text", text: "" } : { kind: "call", call: last, arguments: "" };
    return [...contents, ...this.#contents([rest])];
  }

  /** Tokens leave with the last delta that there is after them. */
  #contents(deltas: readonly ParsedDelta[]): DeltaContent[] {
    return deltas.map((delta, at) => {
      const isLast = at === deltas.length - 1;
      const tokens = isLast ? this.#tokens : [];
      if (isLast) this.#tokens = [];
      return { ...delta, tokens };
    });
  }
}
