/** The toy model's answer to a request as vLLM names its fields: what the scripted replica says in either dialect. */
import type { GenerateEvent, SamplingParameters, TokenLogprob } from "../../../workers/contracts/engine.ts";
import type { StructuredOutputs } from "../../../workers/pool/backends/structured-outputs.ts";
import type { OpenedRequest } from "../../../workers/contracts/request/open-state.ts";
import { constraintOf } from "./constraint-of.ts";
import { encodeState, type ToyState } from "../../workers/support/toy-state.ts";
import { ToyGeneration } from "../../workers/support/toy-generation.ts";

/** The fields that both dialects have. */
export interface SamplingFields {
  readonly max_tokens: number;
  readonly min_tokens: number;
  /** Of replicas of ours. */
  readonly continued?: number;
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p: number;
  readonly min_p: number;
  readonly repetition_penalty: number;
  readonly presence_penalty: number;
  readonly frequency_penalty: number;
  readonly logit_bias?: Readonly<Record<string, number>>;
  readonly stop_token_ids?: readonly number[];
  readonly ignore_eos: boolean;
  readonly allowed_token_ids?: readonly number[];
  readonly banned_token_series?: readonly (readonly number[])[];
  readonly structured_outputs?: StructuredOutputs;
  readonly logprobs?: number;
  readonly logprob_token_ids?: readonly number[];
  readonly prompt_logprobs?: number;
}

/** A token as a replica sends it, the last one with the reason for the end. */
export interface Sampled {
  readonly id: number;
  readonly score: TokenLogprob | undefined;
  readonly finish: "stop" | "length" | null;
}

export type Said = Sampled | { readonly prompt: readonly (TokenLogprob | null)[] };

export interface ToyOrder {
  readonly fields: SamplingFields;
  /** Digits, as they stood in the body. */
  readonly seed: string;
  /** All of it, also where a state is there. */
  readonly prompt: Uint32Array;
  readonly state?: ToyState;
  readonly vocabularySize: number;
  readonly delayMilliseconds: number;
}

export async function* toyAnswer({
  fields,
  seed,
  prompt,
  state,
  vocabularySize,
  delayMilliseconds,
}: ToyOrder): AsyncGenerator<Said, void, undefined> {
  const course = { vocabularySize, endOfTurn: 0, rejectsState: false, ...(delayMilliseconds === 0 ? {} : { delayMilliseconds }) };
  const generation = new ToyGeneration({ ...requestOf(fields, seed, prompt), ...resumedFrom(state, prompt) }, course, () => false);
  // The last token comes with the reason for the end.
  let held: Sampled | undefined;
  for await (const output of generation.run()) {
    if (typeof output === "string") throw new Error(`the toy does nothing of the kind here: ${output}`);
    if (output.type === "prompt") yield { prompt: output.logprobs };
    if (output.type === "token") {
      if (held !== undefined) yield held;
      held = { id: output.id, score: output.logprob, finish: null };
    }
    if (output.type === "finish") yield* lastOf(output, held);
  }
}

/** A state goes through its file, as one that came over the wire has. */
function resumedFrom(state: ToyState | undefined, prompt: Uint32Array): Partial<OpenedRequest> {
  if (state === undefined) return {};
  const { tokens } = state;
  const bytes = new Response(encodeState(state)).body as ReadableStream<Uint8Array>;
  return { prompt: prompt.slice(tokens), resume: { tokens, seen: prompt.slice(0, tokens), bytes } };
}

/** A stop token is a token of its own. */
function* lastOf({ reason, stopToken }: Extract<GenerateEvent, { type: "finish" }>, held: Sampled | undefined): Generator<Sampled> {
  if (stopToken === undefined) {
    if (held !== undefined) yield { ...held, finish: reason };
    return;
  }
  if (held !== undefined) yield held;
  yield { id: stopToken, score: { id: stopToken, logprob: 0, top: held?.score?.top ?? [] }, finish: reason };
}

function requestOf(fields: SamplingFields, seed: string, prompt: Uint32Array): OpenedRequest {
  const sampling: SamplingParameters = {
    temperature: fields.temperature,
    topK: fields.top_k,
    topP: fields.top_p,
    minP: fields.min_p,
    repetitionPenalty: fields.repetition_penalty,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    logitBias: Object.entries(fields.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias] as const),
    seed: String(BigInt.asUintN(64, BigInt(seed))),
  };
  return {
    model: { id: "", digest: "", tokenizerDigest: "" },
    requestId: "",
    prompt,
    maxTokens: fields.max_tokens,
    minTokens: fields.min_tokens,
    stopTokens: fields.stop_token_ids ?? [],
    ...(fields.allowed_token_ids === undefined ? {} : { allowedTokens: fields.allowed_token_ids }),
    ...(fields.banned_token_series === undefined ? {} : { bannedSeries: fields.banned_token_series }),
    ...(fields.structured_outputs === undefined ? {} : { constraint: constraintOf(fields.structured_outputs) }),
    sampling,
    topLogprobs: fields.logprob_token_ids === undefined ? (fields.logprobs ?? null) : null,
    ...(fields.logprob_token_ids === undefined ? {} : { scoredTokens: fields.logprob_token_ids }),
    promptLogprobs: fields.prompt_logprobs ?? null,
    continued: fields.continued ?? 0,
  };
}
