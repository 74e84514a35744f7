/**
 * Questions about one input, each answered by how likely the model takes each of some tokens to be the first of its answer. The input is read once,
 * and its state is where every question starts, so that a question costs its own tokens, however long the input is.
 */
import type { Ability } from "./abilities.ts";
import type { Caller } from "./caller.ts";
import type { ModelVersion } from "./model-version.ts";
import type { CacheReport } from "./cache-report.ts";
import type { TenantId } from "./tenant.ts";
import type { TranscriptMessage } from "./transcript.ts";

export interface DecisionOrder {
  readonly tenant: TenantId | null;
  readonly model: ModelVersion;
  /** What the model's backend can. */
  readonly abilities: readonly Ability[];
  /** For logs and metrics only. */
  readonly requestId: string;
  readonly input: DecisionInput;
  /** Whether each question is asked of no input, too. */
  readonly prior: boolean;
  /** In the order of their answers. */
  readonly questions: readonly LabelledQuestion[];
  /** The longest prompt that the backend takes in one request, in tokens. */
  readonly contextLength: number;
  /** The data centre that took it, where the runtime tells. */
  readonly place?: string;
}

/** Who waits for a decision. */
export interface DecisionCaller extends Caller {
  /** Is told once a backend is at work for it, and how the input's state was found: until then what refuses it is told soon. */
  begun(cache: CacheReport): Promise<void>;
}

/** Messages, of which the last is the one that the questions follow, or what a session or context of the tenant's has read. */
export type DecisionInput =
  { readonly kind: "messages"; readonly messages: readonly TranscriptMessage[] } | { readonly kind: "session"; readonly session: string };

export interface LabelledQuestion {
  /** As the model reads it, after the input. */
  readonly text: string;
  /** Tokens of which one is to begin the answer, at least two. */
  readonly labels: readonly number[];
}

export interface DecisionScores {
  /** Of each question, for each of its labels: the natural logarithm of the label's probability among all tokens. */
  readonly logprobs: readonly (readonly number[])[];
  /** The same where the question is asked of no input; empty where that was not asked for. */
  readonly priors: readonly (readonly number[])[];
  /** Of each question, whether the likeliest token of all is one of its labels. */
  readonly beginsWithLabel: readonly boolean[];
  /** Tokens of the input, and of all questions. */
  readonly inputTokens: number;
  /** Tokens of the input whose state was there before. */
  readonly cachedTokens: number;
  /** Tokens of the input whose state is kept for later requests from now on. */
  readonly writtenTokens: number;
  /** Tokens that were sampled: one a question; priors are not counted, because they are not asked for every time. */
  readonly outputTokens: number;
  readonly cache: CacheReport;
}
