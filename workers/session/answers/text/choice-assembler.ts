/**
 * Makes one choice's text of a backend's events. It is a function of those events alone: the same ones give the same deltas, which is what
 * lets a log of events stand for everything that its readers see.
 */
import { brokenAnswer } from "../../../contracts/call.ts";
import type { ChoiceFinish } from "../../../contracts/finish.ts";
import type {
  ChoiceEnd,
  ChoiceEvent,
  Delta,
  DeltaContent,
  Job,
  PlacementReport,
  ScoredToken,
  TextContent,
} from "../../../contracts/choice.ts";
import type { AnswerEvent, PromptUsage } from "../../generation/answer-event.ts";
import type { TokenLogprob } from "../../../contracts/engine.ts";
import { ServiceError } from "../../../contracts/errors.ts";
import type { FunctionCall } from "../../../contracts/transcript.ts";
import type { SpikeCounts, SpikesByLayer } from "../../../contracts/spikes.ts";
import type { StateReport } from "../../../contracts/state.ts";
import { StreamDecoder } from "../../../tokenizer/stream-decoder.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { AnswerContent } from "./answer-content.ts";
import { codePoints } from "./code-points.ts";
import { TextAssembler, type AssembledText } from "./text-assembler.ts";

export class ChoiceAssembler {
  readonly #job: Job;
  readonly #tokenizer: Tokenizer;
  readonly #text: TextAssembler;
  readonly #content: AnswerContent;
  readonly #ids: number[] = [];
  /** Where each token's text ends in the decoded text, in UTF-16 code units. */
  readonly #ends: number[] = [];
  #shown = "";
  #awaitsPrompt: boolean;
  #spikeTotals: SpikeCounts | undefined;
  #state: StateReport | undefined;
  readonly #placements: PlacementReport[] = [];
  /** Whether a delta that stays has said the newest of them. */
  #placementTold = true;
  #ended: "backend" | "stop string" | "stopped" | undefined;
  #reason: ChoiceFinish = "length";

  constructor(job: Job, tokenizer: Tokenizer) {
    this.#job = job;
    this.#tokenizer = tokenizer;
    this.#awaitsPrompt = job.request.promptLogprobs !== null;
    this.#content = new AnswerContent(job.calls?.id);
    const offset = job.echo === null ? 0 : codePoints(job.echo);
    const decoder = new StreamDecoder(tokenizer, { skipSpecial: true });
    this.#text = new TextAssembler(decoder, job.stops, job.request.minTokens, offset, job.tellTokens);
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Why it ended, once it has. */
  get reason(): ChoiceFinish {
    return this.#reason;
  }

  /** What comes before any event. */
  open(): ChoiceEvent[] {
    const { echo, tellTokens, request } = this.#job;
    const text = this.#awaitsPrompt ? null : echo;
    if (text === null && tellTokens !== true) return [];
    return [this.#delta(textContent(text ?? "", tellTokens === true ? { prompt: Array.from(request.prompt) } : {}))];
  }

  /** Where the events that follow come from. What is made of it is of the moment only: the first delta among them says it for good. */
  place({ backend, kind }: Omit<PlacementReport, "fromToken">): ChoiceEvent[] {
    if (this.ended) return [];
    const last = this.placement;
    // What has brought no token is no part of the answer.
    if (last?.fromToken === this.#ids.length) {
      if (last.backend === backend && last.kind === kind) return [];
      this.#placements.pop();
    }
    this.#placements.push({ backend, kind, fromToken: this.#ids.length });
    this.#placementTold = this.#job.reportPlacement !== true;
    return this.#placementTold ? [] : [this.#delta(textContent(""))];
  }

  /** The newest part of the answer; undefined where nothing has run. */
  get placement(): PlacementReport | undefined {
    return this.#placements.at(-1);
  }

  /** @throws ServiceError where the backend left out what was asked for. */
  push(event: AnswerEvent, usage: PromptUsage): ChoiceEvent[] {
    if (this.ended) return [];
    const events = this.#events(event, usage);
    if (event.type !== "read" && events.some(({ type }) => type === "delta")) this.#placementTold = true;
    return events;
  }

  #events(event: AnswerEvent, usage: PromptUsage): ChoiceEvent[] {
    switch (event.type) {
      case "read":
        this.#state = event.state;
        return [this.#delta(textContent(""))];
      case "prompt":
        this.#awaitsPrompt = false;
        return [this.#delta(textContent(this.#job.echo ?? "", { scoredPrompt: this.#scorePrompt(event.logprobs) }))];
      case "token":
        this.#requirePrompt();
        return this.#token(event, usage);
      case "finish":
        this.#requirePrompt();
        if (event.state !== undefined) this.#state = event.state;
        return this.#finish(event.reason, usage, event.spikes, true);
    }
  }

  /** Ends it here, because a client asked for that. */
  stop(usage: PromptUsage): ChoiceEvent[] {
    if (this.ended) return [];
    const events = this.#finish("stop", usage, undefined, false);
    this.#ended = "stopped";
    return events;
  }

  /** What is said so far, as its readers see it: the answer's text without calls. */
  get text(): string {
    return this.#content.looksForCalls ? this.#content.text : this.#shown;
  }

  /** Functions that are called so far; the last call's arguments may be a beginning, unless the answer ended by `tool_calls`. */
  get calls(): readonly FunctionCall[] {
    return this.#content.calls;
  }

  /** Tokens sampled so far. */
  get sampled(): readonly number[] {
    return this.#ids;
  }

  /**
   * Tokens of the answer's text: those that were sampled, unless a stop string took text away. Then they are the tokens before it, and what
   * is left of the one that it cut.
   */
  get answer(): Uint32Array {
    if (this.#ended !== "stop string") return Uint32Array.from(this.#ids);
    const whole = this.#ends.findLastIndex((end) => end <= this.#shown.length) + 1;
    const rest = this.#shown.slice(whole === 0 ? 0 : this.#ends[whole - 1]);
    return Uint32Array.from([...this.#ids.slice(0, whole), ...(rest === "" ? [] : this.#tokenizer.encode(rest))]);
  }

  #token(event: Extract<AnswerEvent, { readonly type: "token" }>, usage: PromptUsage): ChoiceEvent[] {
    if (event.spikes !== undefined) this.#spikeTotals = event.spikes;
    if (event.state !== undefined) this.#state = event.state;
    const assembled = this.#text.push(event.id, event.logprob);
    this.#ids.push(event.id);
    this.#ends.push(this.#text.decodedUnits);
    const deltas = this.#shownDeltas(assembled);
    if (assembled.stop === undefined) return deltas;
    this.#ended = "stop string";
    return [...deltas, ...this.#deltas(this.#content.finish()), this.#end("stop", usage, { stop: assembled.stop })];
  }

  /** @param own says whether the backend has ended it. */
  #finish(reason: ChoiceFinish, usage: PromptUsage, spikes: SpikesByLayer | undefined, own: boolean): ChoiceEvent[] {
    const assembled = this.#text.finish();
    const deltas = [...this.#shownDeltas(assembled), ...this.#deltas(this.#content.finish())];
    const { stop } = assembled;
    this.#ended = stop === undefined ? "backend" : "stop string";
    const told = { ...(stop === undefined ? {} : { stop }), ...(spikes === undefined ? {} : { spikes }) };
    const called = own && reason === "stop" && this.#content.isWhole ? "tool_calls" : reason;
    return [...deltas, this.#end(stop === undefined ? called : "stop", usage, told)];
  }

  #shownDeltas(assembled: AssembledText): Delta[] {
    this.#shown += assembled.text;
    return this.#deltas(this.#content.push(assembled));
  }

  #deltas(contents: readonly DeltaContent[]): Delta[] {
    return contents.map((content, at) => this.#delta(content, at === 0));
  }

  #delta(content: DeltaContent, isFirst = true): Delta {
    const spikes = this.#spikeTotals === undefined ? {} : { spikes: this.#spikeTotals };
    return {
      type: "delta",
      index: this.#job.index,
      content,
      ...spikes,
      ...this.#latestState(),
      ...(isFirst ? this.#newPlacement() : {}),
    };
  }

  #end(reason: ChoiceFinish, usage: PromptUsage, told: Pick<ChoiceEnd, "spikes" | "stop">): ChoiceEnd {
    this.#reason = reason;
    return {
      type: "end",
      index: this.#job.index,
      reason,
      completionTokens: this.#text.count,
      promptTokens: usage.promptTokens,
      cachedTokens: usage.cachedTokens,
      ...told,
      ...(this.#spikeTotals === undefined ? {} : { spikeTotals: this.#spikeTotals }),
      ...this.#latestState(),
      ...(this.#job.reportPlacement === true ? { placements: [...this.#placements] } : {}),
    };
  }

  #latestState(): { readonly state?: StateReport } {
    return this.#state === undefined ? {} : { state: this.#state };
  }

  #newPlacement(): { readonly placement?: PlacementReport } {
    return this.#placementTold || this.placement === undefined ? {} : { placement: this.placement };
  }

  #requirePrompt(): void {
    if (this.#awaitsPrompt) throw brokenBackend("the backend left out the prompt's log-probabilities");
  }

  #scorePrompt(logprobs: readonly (TokenLogprob | null)[]): ScoredToken[] {
    const { prompt } = this.#job.request;
    if (logprobs.length !== prompt.length) throw brokenBackend("the backend scored another number of prompt tokens than it was sent");
    const decoder = new StreamDecoder(this.#tokenizer);
    let offset = 0;
    return Array.from(prompt, (id, position) => {
      const scored = logprobs[position] ?? null;
      const token = { id, logprob: scored?.logprob ?? null, top: scored?.top ?? null, offset };
      offset += codePoints(decoder.push(id));
      return token;
    });
  }
}

const textContent = (text: string, ofPrompt: Pick<TextContent, "prompt" | "scoredPrompt"> = {}): DeltaContent => ({
  kind: "text",
  text,
  tokens: [],
  ...ofPrompt,
});

function brokenBackend(message: string): ServiceError {
  return new ServiceError(brokenAnswer("engine", message));
}
