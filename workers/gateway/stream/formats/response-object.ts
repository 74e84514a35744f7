/** The object of a response, from what it repeats of its request and what has become of it. */
import type { ServiceFailure } from "../../../contracts/errors.ts";
import type { ChoiceFinish } from "../../../contracts/finish.ts";
import type { TokenUsage } from "../../../contracts/engine.ts";
import type { AnswerHeader } from "./format.ts";

/** Fields that the request decides, under their names on the wire. */
export interface ResponseSettings {
  readonly instructions: string | null;
  readonly previous_response_id: string | null;
  readonly conversation: { readonly id: string } | null;
  readonly store: boolean;
  readonly background: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly temperature: number;
  readonly top_p: number;
  readonly presence_penalty: number;
  readonly frequency_penalty: number;
  readonly max_output_tokens: number | null;
  readonly max_tool_calls: number | null;
  readonly top_logprobs: number;
  readonly text: { readonly format: object };
  readonly tools: readonly unknown[];
  readonly tool_choice: unknown;
  readonly parallel_tool_calls: boolean;
  readonly user: string | null;
  readonly safety_identifier: string | null;
  readonly prompt_cache_key: string | null;
}

export type ResponseStatus = "in_progress" | "completed" | "incomplete" | "failed" | "cancelled";

/** What has become of it. */
export interface ResponseStanding {
  readonly status: ResponseStatus;
  readonly output: readonly object[];
  readonly usage: TokenUsage | null;
  /** Unix seconds. */
  readonly completed: number | null;
  readonly incomplete?: "max_output_tokens" | "content_filter";
  readonly failure?: Pick<ServiceFailure, "code" | "message" | "status">;
}

export const begun: ResponseStanding = { status: "in_progress", output: [], usage: null, completed: null };

export function responseObject(
  { id, created, model }: Pick<AnswerHeader, "id" | "created" | "model">,
  settings: ResponseSettings,
  { status, output, usage, completed, incomplete, failure }: ResponseStanding,
): object {
  return {
    id,
    object: "response",
    created_at: created,
    completed_at: status === "completed" ? completed : null,
    status,
    error: failure === undefined ? null : { code: errorCode(failure.status), message: failure.message },
    incomplete_details: incomplete === undefined ? null : { reason: incomplete },
    model,
    output,
    ...settings,
    truncation: "disabled",
    reasoning: { effort: null, summary: null },
    service_tier: "default",
    usage: usage === null ? null : usageJson(usage),
  };
}

/** How a choice's end is told of a response. */
export function endOf(reason: ChoiceFinish): Pick<ResponseStanding, "status" | "incomplete"> {
  switch (reason) {
    case "stop":
    case "tool_calls":
      return { status: "completed" };
    case "length":
      return { status: "incomplete", incomplete: "max_output_tokens" };
    case "content_filter":
      return { status: "incomplete", incomplete: "content_filter" };
  }
}

/** Clients have a closed list of codes; the message says what ours would. */
function errorCode(status: number): "rate_limit_exceeded" | "invalid_prompt" | "server_error" {
  if (status === 429) return "rate_limit_exceeded";
  return status >= 500 ? "server_error" : "invalid_prompt";
}

function usageJson({ promptTokens, cachedTokens, completionTokens }: TokenUsage): object {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: promptTokens + completionTokens,
  };
}
