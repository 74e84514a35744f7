/** Both kinds of servers over HTTP with a scripted replica behind them, and what a caller gets of them. */
import type { GenerateEvent, GenerateRequest, ModelDescription } from "../../../../workers/contracts/engine.ts";
import type { ServiceFailure } from "../../../../workers/contracts/errors.ts";
import type { Network, ReplicaBackend } from "../../../../workers/pool/backends/contract.ts";
import { OpenAiBackend } from "../../../../workers/pool/backends/openai.ts";
import type { HttpOptions } from "../../../../workers/pool/backends/replica-http.ts";
import { VllmBackend } from "../../../../workers/pool/backends/vllm.ts";
import { collect, greedy } from "../../../contract/generation.ts";
import { callOf } from "../../../contract/replica/as-backend.ts";
import { ScriptedReplica, type ReplicaScript } from "../../../contract/replica/scripted-replica.ts";
import { tinyManifest, tinyTokenizer, versionOf } from "../../support/tiny-tokenizer.ts";

export const description: ModelDescription = {
  ...versionOf(tinyManifest),
  ...{ architecture: "toy", parameters: 0, kernel: "toy", abilities: ["prompt_logprobs", "logit_bias", "long_seeds"] },
  ...{ vocabularySize: tinyTokenizer.tokens.length, contextLength: tinyManifest.contextLength },
};

export type Kind = "vllm" | "openai";
const kinds: Readonly<Record<Kind, new (network: Network, options?: HttpOptions) => ReplicaBackend>> = {
  vllm: VllmBackend,
  openai: OpenAiBackend,
};

export interface Got {
  readonly replica: ScriptedReplica;
  /** All events; only the failure where the request was refused before the stream. */
  readonly events: readonly GenerateEvent[];
  /** The refusal, or the failure of the stream's error event. */
  readonly failure: ServiceFailure | undefined;
}

export const askedFor = (changes: Partial<GenerateRequest> = {}): GenerateRequest => ({
  ...{ model: versionOf(tinyManifest), ...greedy([10, 20, 30]) },
  ...changes,
});

/** What a caller gets of a replica that follows the script. */
export async function got(
  kind: Kind,
  script: ReplicaScript,
  changes: Partial<GenerateRequest> = {},
  options: HttpOptions = {},
): Promise<Got> {
  const replica = new ScriptedReplica(description);
  replica.script = script;
  const outcome = await new kinds[kind](replica.network, options).generate(callOf(description, askedFor(changes)));
  if (!outcome.ok) return { replica, events: [], failure: outcome.failure };
  const events = await collect(outcome.value);
  const errors = events.flatMap((event) => (event.type === "error" ? [event.failure] : []));
  return { replica, events, failure: errors[0] };
}

/** A script that changes the events of a stream, as values. */
export function changing(change: (chunk: Chunk, number: number) => unknown): ReplicaScript {
  return {
    sends(line, number) {
      if (line.startsWith("data: [DONE]")) return line;
      const changed = change(JSON.parse(line.slice("data: ".length)) as Chunk, number);
      return changed === undefined ? "" : `data: ${typeof changed === "string" ? changed : JSON.stringify(changed)}\n\n`;
    },
  };
}

/** What both dialects have. */
export interface Chunk {
  readonly model: string;
  readonly choices: readonly {
    readonly token_ids: readonly number[];
    readonly finish_reason: string | null;
    readonly stop_reason: number | null;
    readonly logprobs: object | null;
  }[];
  readonly usage: { readonly prompt_tokens: number; readonly prompt_tokens_details: { readonly cached_tokens: number } } | null;
}
