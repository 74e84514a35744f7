/** Answers in vLLM's two dialects, as its version 0.32 writes them. */
import type { TokenLogprob } from "../../../workers/contracts/engine.ts";
import type { Sampled, SamplingFields } from "./toy-answer.ts";

export interface AskedBody {
  readonly model: string;
  readonly stream: boolean;
  readonly fields: SamplingFields;
  readonly prompt: readonly number[];
  readonly states?: { readonly tenant: string; readonly import?: string; readonly export?: string };
}

export interface ReplicaDialect {
  read(body: string): AskedBody;
  /** Of tokens that come together; none of them for the usage. */
  choice(sampled: readonly Sampled[], alternatives: number | undefined): object;
  promptScores(scores: readonly (TokenLogprob | null)[]): { readonly onChoice?: object; readonly onAnswer?: object };
}

interface GenerateBody {
  readonly model: string;
  readonly stream: boolean;
  readonly token_ids: readonly number[];
  readonly sampling_params: SamplingFields;
  readonly kv_transfer_params?: { readonly spikingbrain: NonNullable<AskedBody["states"]> };
}

export const generateDialect: ReplicaDialect = {
  read(text) {
    const { model, stream, token_ids: prompt, sampling_params: fields, kv_transfer_params: transfer } = JSON.parse(text) as GenerateBody;
    return { model, stream, prompt, fields, ...(transfer === undefined ? {} : { states: transfer.spikingbrain }) };
  },
  choice: (sampled, alternatives) => ({
    index: 0,
    ...endOf(sampled),
    token_ids: sampled.map(({ id }) => id),
    routed_experts: null,
    sampling_mask: null,
    weight_versions: null,
    logprobs:
      alternatives === undefined
        ? null
        : {
            content: sampled.map(({ score }) => ({
              ...scoreOf(score?.id ?? 0, score?.logprob ?? 0),
              // The sampled one first, then as many as there is room for.
              top_logprobs: entriesOf(score)
                .slice(0, Math.max(alternatives, 1))
                .map(([id, logprob]) => scoreOf(id, logprob)),
            })),
          },
  }),
  promptScores: (scores) => ({ onAnswer: { prompt_logprobs: byId(scores) } }),
};

export const completionsDialect: ReplicaDialect = {
  read(text) {
    const { model, stream, prompt, ...fields } = JSON.parse(text) as SamplingFields & AskedBody;
    return { model, stream, prompt, fields };
  },
  choice: (sampled, alternatives) => ({
    index: 0,
    text: sampled.map(({ id }) => `<${String(id)}>`).join(""),
    ...endOf(sampled),
    token_ids: sampled.map(({ id }) => id),
    logprobs:
      alternatives === undefined
        ? null
        : {
            text_offset: sampled.map(() => 0),
            tokens: sampled.map(({ id }) => `token_id:${String(id)}`),
            token_logprobs: sampled.map(({ score }) => score?.logprob ?? null),
            top_logprobs: sampled.map(({ score }) =>
              Object.fromEntries(
                entriesOf(score)
                  .slice(0, alternatives + 1)
                  .map(([id, logprob]) => [`token_id:${String(id)}`, logprob]),
              ),
            ),
          },
  }),
  promptScores: (scores) => ({ onChoice: { prompt_logprobs: byId(scores) } }),
};

function endOf(sampled: readonly Sampled[]): object {
  const last = sampled.at(-1);
  return { finish_reason: last?.finish ?? null, stop_reason: last?.finish === "stop" ? last.id : null };
}

/** The sampled token, then the others. */
function entriesOf(score: TokenLogprob | undefined): (readonly [number, number])[] {
  if (score === undefined) return [];
  return [[score.id, score.logprob], ...score.top.filter(([id]) => id !== score.id)];
}

function byId(scores: readonly (TokenLogprob | null)[]): (object | null)[] {
  return scores.map((score) =>
    score === null
      ? null
      : Object.fromEntries(entriesOf(score).map(([id, logprob]) => [String(id), { logprob, rank: null, decoded_token: null }])),
  );
}

const scoreOf = (id: number, logprob: number) => ({ token_id: id, logprob, rank: null });
