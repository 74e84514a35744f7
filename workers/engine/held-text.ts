/**
 * The text of one answer that is held to a constraint, as the grammar Worker follows it. What is asked there is a function of the constraint and
 * the answer's tokens: where that Worker is gone, the text is opened anew with the tokens so far, and goes on as it would have gone on.
 */
import type { GrammarOrder, GrammarService, GrammarStep, OpenedText } from "../contracts/constraint.ts";
import type { Outcome } from "../contracts/outcome.ts";
import { release } from "../contracts/release.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { engineUnavailable } from "./failures.ts";

const mostAttempts = 4;
const firstPauseMilliseconds = 20;

export interface HeldTextHost {
  /** Each step, or the failure that ends it all; not after {@link HeldText.close}. */
  onSaid(said: Outcome<GrammarStep>): void;
  sleep(milliseconds: number): Promise<void>;
}

export class HeldText {
  readonly #grammar: GrammarService;
  readonly #order: Omit<GrammarOrder, "tokens">;
  readonly #tokens: number[];
  readonly #host: HeldTextHost;
  /** The call's result holds the matcher on the other side. */
  #opened: { readonly result: object; readonly text: OpenedText } | undefined;
  #isClosed = false;

  constructor(grammar: GrammarService, { tokens, ...order }: GrammarOrder, host: HeldTextHost) {
    this.#grammar = grammar;
    this.#order = order;
    this.#tokens = [...tokens];
    this.#host = host;
  }

  /** Asks for the first step. */
  open(): void {
    void this.#ask([]);
  }

  /** Asks for the step after one more token; only when the last one is known. */
  accept(token: number): void {
    void this.#ask([token]);
  }

  close(): void {
    this.#isClosed = true;
    this.#letGo();
  }

  async #ask(tokens: readonly number[]): Promise<void> {
    const said = await this.#said(tokens);
    if (said.ok) this.#tokens.push(...tokens, ...said.value.forced);
    if (this.#isClosed) this.#letGo();
    else this.#host.onSaid(said);
  }

  async #said(tokens: readonly number[]): Promise<Outcome<GrammarStep>> {
    for (let attempt = 1; attempt <= mostAttempts && !this.#isClosed; attempt += 1) {
      try {
        return await (this.#opened === undefined ? this.#open(tokens) : accepted(this.#opened.text, tokens));
      } catch (cause) {
        logLine("error", "service_unreachable", { service: "grammar", cause: describeCause(cause) });
        this.#letGo();
        await this.#host.sleep(firstPauseMilliseconds * 4 ** (attempt - 1));
      }
    }
    return { ok: false, failure: engineUnavailable("the grammar service, which the constraint needs, could not be reached") };
  }

  async #open(tokens: readonly number[]): Promise<Outcome<GrammarStep>> {
    const result = await this.#grammar.open({ ...this.#order, tokens: Uint32Array.from([...this.#tokens, ...tokens]) });
    if (!result.ok) {
      release(result);
      return result;
    }
    this.#opened = { result, text: result.value };
    return { ok: true, value: result.value.step };
  }

  #letGo(): void {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    release(opened.text.matcher);
    release(opened.result);
  }
}

async function accepted({ matcher }: OpenedText, tokens: readonly number[]): Promise<Outcome<GrammarStep>> {
  const outcome = await matcher.accept(Uint32Array.from(tokens));
  release(outcome);
  return outcome;
}
