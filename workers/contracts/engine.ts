/**
 * What every generation backend offers, whatever it computes on. Token ids in, token ids out: the gateway makes token ids of prompts, the
 * session Worker renders turns and makes text of what is generated, and finds stop strings in it. `test/contract` holds the one conformance suite.
 */
import type { Ability } from "./abilities.ts";
import type { Constraint } from "./constraint.ts";
import type { BackendFinish } from "./finish.ts";
import type { ModelVersion } from "./model-version.ts";
import type { Outcome } from "./outcome.ts";
import type { ServiceFailure } from "./errors.ts";
import type { SpikeCounts, SpikesByLayer, SpikingMode } from "./spikes.ts";
import type { StateDescription, StateReport } from "./state.ts";

/** Log-probabilities of one prompt that one event may carry, the tokens' own included: some 3 MB of the isolate's heap. */
export const promptScoresLimit = 32_768;

/** Most bytes of one chunk of a state file on its way. */
export const stateChunkBytes = 1 << 18;

/** Most tokens whose log-probabilities one request may ask for by their ids. */
export const mostScoredTokens = 128;

/** How the next token is chosen. Every field is explicit: defaults are the gateway's business. */
export interface SamplingParameters {
  /** 0 is greedy; otherwise logits are divided by it. In [0, 2]. */
  readonly temperature: number;
  /** Keep the k most likely tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep the smallest set whose probability reaches this; 1 keeps all. In (0, 1]. */
  readonly topP: number;
  /** Drop tokens less likely than this times the most likely one; 0 keeps all. In [0, 1]. */
  readonly minP: number;
  /** Divides positive and multiplies negative logits of every token seen in prompt or output; 1 is off. In (0, 2]. */
  readonly repetitionPenalty: number;
  /** Subtracted once from the logit of a token already in the output. In [-2, 2]. */
  readonly presencePenalty: number;
  /** Subtracted per occurrence of a token in the output. In [-2, 2]. */
  readonly frequencyPenalty: number;
  /** At most 1,024 pairs of token id and the value added to its logit, each in [-100, 100]. */
  readonly logitBias: readonly (readonly [tokenId: number, bias: number])[];
  /**
   * Unsigned 64-bit, as decimal digits where a number would not hold it exactly. Same seed, same prompt, same parameters: same tokens,
   * whatever else the engine is doing.
   */
  readonly seed: number | string;
}

/** How tokens are chosen and reported: what a sequence of the engine is opened with (`wasm/API.md`). */
export interface SequenceParameters {
  /** Stop tokens cannot be chosen before this many tokens have been generated. */
  readonly minTokens: number;
  /** At most 64 token ids that end the generation with reason `stop`; the stop token itself is reported in the finish event, not as a token. */
  readonly stopTokens: readonly number[];
  readonly sampling: SamplingParameters;
  /** Tokens of which alone the answer is made, stop tokens too: at most 16,384 ids. All of them where it is left out. */
  readonly allowedTokens?: readonly number[];
  /** Series of tokens that the answer does not hold: its last token cannot be chosen where those before it have been. At most 128, each of 1 to 64 ids. */
  readonly bannedSeries?: readonly (readonly number[])[];
  /** Alternatives reported beside each generated token, at most 20; null reports no log-probabilities at all. */
  readonly topLogprobs: number | null;
  /**
   * Tokens whose log-probabilities are reported beside each generated token, in the place of the likeliest: at most {@link mostScoredTokens} different ids. `topLogprobs` is
   * null then.
   */
  readonly scoredTokens?: readonly number[];
  /** Alternatives reported beside each prompt token, at most 20; null reports none of them. */
  readonly promptLogprobs: number | null;
}

/** The likeliest token every time. */
export const greedySampling: SamplingParameters = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 0,
};

/** Greedy, without an end, nothing reported: for reading a text and for measuring. */
export const greedyParameters: SequenceParameters = {
  minTokens: 0,
  stopTokens: [],
  sampling: greedySampling,
  topLogprobs: null,
  promptLogprobs: null,
};

/** `background` takes what `interactive` requests leave: a document that nobody waits for at this moment. */
export const priorities = ["interactive", "background"] as const;
export type Priority = (typeof priorities)[number];

export interface GenerateRequest extends SequenceParameters {
  /** The model that is to answer; a backend that has not exactly it refuses with `model_not_found`. */
  readonly model: ModelVersion;
  /** For logs and metrics only. */
  readonly requestId: string;
  /**
   * Whose request it is, for a backend that shares its time and memory fairly: an opaque name of at most 64 characters, the same for all
   * requests of one tenant, from which neither tenant nor key can be told. Null, or left out: one share of all who have no name.
   */
  readonly share?: string | null;
  /** `interactive` where it is left out. */
  readonly priority?: Priority;
  /** The prompt, at least one id, each below the vocabulary size. */
  readonly prompt: Uint32Array;
  /** Upper bound of generated tokens; 0 only scores the prompt. */
  readonly maxTokens: number;
  /**
   * What the answer's text must be; anything where it is left out. The answer ends with reason `stop` where its text is whole and nothing may follow,
   * also without a stop token. One that ends by `length` may be a beginning only.
   */
  readonly constraint?: Constraint;
  /** Whether spikes are counted; only a backend whose model spikes accepts it. Counting nothing where it is left out. */
  readonly countSpikes?: boolean;
  /** Whether events tell what the state holds and takes; only a backend whose description has `state` accepts it. */
  readonly reportState?: boolean;
  /**
   * How many of the prompt's last tokens an earlier attempt at the same answer has sampled; 0 where it is left out. Penalties, `minTokens` and
   * the seed's draws count them as output, so that the answer goes on with the tokens it would have had. `maxTokens` does not count them.
   */
  readonly continued?: number;
  /** State to start from; `prompt` then holds the tokens after it. */
  readonly resume?: ResumeState;
  /** States that the stream brings along. */
  readonly save?: SaveStates;
}

/** What a conversation's state was when it had read so many tokens. */
export interface ResumeState {
  /** Tokens of text it has read. */
  readonly tokens: number;
  /** Where its file is had; one that the backend can't use ends the stream with `state_rejected`. */
  readonly state: StateSource;
  /** Ids of those tokens, in any order and each at least once, where a repetition penalty looks at them; empty otherwise. */
  readonly seen: Uint32Array;
}

/**
 * A state file (`wasm/STATE_FORMAT.md`) that is handed over by reference: whichever backend takes the request opens it, so that the same request
 * can be given to another one after a refusal. Valid until `generate` has answered.
 */
export interface StateSource {
  /** The file without rows of tokens in pages before `fromPage` (pages of 32 tokens), which the backend has; 0 is the whole file. The reader cancels what it has no use for. */
  open(fromPage: number): Promise<Outcome<ReadableStream<Uint8Array>>>;
  /** Ids of the tokens that the state has read, in order: for a backend that is given the whole text beside a state, or that reads it again instead. */
  tokens(): Promise<Outcome<Uint32Array>>;
}

export interface SaveStates {
  /** At most 16 counts of tokens of text, ascending, each above the resumed state's and at most what the text has before its answer: states on the way. */
  readonly at: readonly number[];
  /** Whether the state is saved once the answer has ended by `stop` or `length`: all tokens of prompt and answer read, a stop token not. */
  readonly end: boolean;
  /** Rows of tokens in pages before this one (pages of 32 tokens) are left out of the files: the caller has them. */
  readonly fromPage: number;
  /** `bf16` lets the backend round the recurrent part (`wasm/STATE_FORMAT.md`): a smaller file, from which a text goes on almost alike. Left out or `f32`, nothing is rounded. */
  readonly recurrent?: RecurrentType;
}

export const recurrentTypes = ["f32", "bf16"] as const;
export type RecurrentType = (typeof recurrentTypes)[number];

/** Natural-log probability under the model's own distribution: before temperature, penalties and bias. */
export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
  /** The most likely alternatives, best first, or those that were asked for by `scoredTokens`, in its order; may or may not contain `id`. */
  readonly top: readonly (readonly [tokenId: number, logprob: number])[];
}

export interface TokenUsage {
  readonly promptTokens: number;
  /** Tokens sampled, the stop token excluded. */
  readonly completionTokens: number;
  /** Prompt tokens whose work was skipped because their state was already there. */
  readonly cachedTokens: number;
}

/**
 * A stream is: at most one `restored`, as soon as the backend knows it and before `finish` at the latest, any number of `read`, at most one `prompt`, any number of `token`, then exactly one terminal event
 * (`finish` or `error`), then the end. With `save`, each wanted state comes as any number of `state` and then one `saved` or `unsaved`: those on
 * the way before the tokens, the last one after `finish`, which therefore never waits for it. A backend that had to give a state up reads its tokens again, and says so with `read` wherever it happens.
 * A stream that ends without a terminal event is a failed stream.
 */
export type GenerateEvent =
  /** The resumed state was in place; with `resume`. A backend that has read its tokens again instead sends none. */
  | { readonly type: "restored"; readonly tokens: number }
  /** A chunk of the state file at so many tokens of text, at most {@link stateChunkBytes}. */
  | { readonly type: "state"; readonly tokens: number; readonly bytes: Uint8Array }
  | { readonly type: "saved"; readonly tokens: number }
  /** The state at so many tokens will not come, for want of memory or because the generation ended before it. */
  | { readonly type: "unsaved"; readonly tokens: number; readonly reason: string }
  /** From time to time while tokens are read whose successor is known; with `reportState`. */
  | { readonly type: "read"; readonly state: StateReport }
  | { readonly type: "prompt"; readonly logprobs: readonly (TokenLogprob | null)[] }
  | {
      readonly type: "token";
      readonly id: number;
      readonly logprob?: TokenLogprob;
      /** Of everything read so far, prompt included; with `countSpikes`. */
      readonly spikes?: SpikeCounts;
      /** Before this token is read; with `reportState`. */
      readonly state?: StateReport;
    }
  | {
      readonly type: "finish";
      readonly reason: BackendFinish;
      readonly stopToken?: number;
      readonly usage: TokenUsage;
      /** Of everything read; with `countSpikes`. */
      readonly spikes?: SpikesByLayer;
      /** With `reportState`. */
      readonly state?: StateReport;
    }
  | { readonly type: "error"; readonly failure: ServiceFailure };

/** What a backend serves; constant while it lives. */
export interface ModelDescription extends ModelVersion {
  readonly architecture: string;
  readonly parameters: number;
  readonly vocabularySize: number;
  /**
   * Longest prompt plus completion of one request, in tokens: the model's own limit or what memory holds; where the state is constant there
   * is neither, and it is as many as a request may have.
   */
  readonly contextLength: number;
  /** What it can of that in which backends differ; `abilities.ts` says which field of a request needs which. */
  readonly abilities: readonly Ability[];
  /** Which kernel computes: `relaxed`, `simd128`, `scalar`, or a GPU backend's name. */
  readonly kernel: string;
  /** Which inputs of the model's products spike; a backend without neurons leaves it out. */
  readonly spikes?: SpikingMode;
  /** What conversations take of its memory; a backend that cannot say leaves it out. */
  readonly state?: StateDescription;
}

/** A moment's load, for picking an engine object. */
export interface EngineLoad {
  /** Whether the weights are in memory. */
  readonly loaded: boolean;
  readonly running: number;
  readonly waiting: number;
  /** Bytes that new state may still take. */
  readonly freeStateBytes: number;
  /** Tokens sampled since the object started; lets a test see that an aborted stream costs nothing more. */
  readonly generatedTokens: number;
}

/**
 * The RPC surface of a backend. Refusals that are known before the first token (too long, overloaded, no model) come as
 * `ok: false`; anything later comes as the stream's `error` event. Cancelling the stream stops the work within one token.
 */
export interface GenerationBackend {
  /** The models that it answers with, at least one. */
  models(): Promise<Outcome<readonly ModelDescription[]>>;
  /** Loads its models if need be and produces one token with each. */
  ready(): Promise<Outcome<null>>;
  load(): Promise<EngineLoad>;
  /** The bytes are events as written by `encodeEvent` (`event-stream.ts`). */
  generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>>;
}
