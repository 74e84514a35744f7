/** Responses, whole and as the events of the Open Responses document: each named, and numbered from 0 in its data. */
import type { Delta, ScoredToken } from "../../../contracts/choice.ts";
import type { TokenUsage } from "../../../contracts/engine.ts";
import type { ServiceFailure } from "../../../contracts/errors.ts";
import type { ChoiceFinish } from "../../../contracts/finish.ts";
import type { StreamDone } from "../../../contracts/session.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { errorBody } from "../../error-body.ts";
import { tokenLabel } from "../token-label.ts";
import type { AnswerFormat, AnswerHeader, AnswerUsage, FinishedChoice, FormatEvent } from "./format.ts";
import type { ItemStatus } from "./response-items.ts";
import { ResponseOutput } from "./response-output.ts";
import { begun, endOf, responseObject, type ResponseSettings, type ResponseStanding } from "./response-object.ts";

export interface ResponseFormatOptions {
  readonly header: AnswerHeader;
  readonly tokenizer: Tokenizer;
  readonly topLogprobs: number | null;
  readonly response?: ResponseSettings;
  /** Its number in a session. */
  readonly turn?: number;
  /** Whether functions may be called: what is said is an item then only once something is. */
  readonly calls?: boolean;
}

/** For one reading of a stream from its beginning: what has come so far is in the events that end it. */
export function responseFormat(options: ResponseFormatOptions): AnswerFormat {
  const { header, tokenizer, topLogprobs, response: settings, turn = 0, calls: mayCall = false } = options;
  if (settings === undefined) throw new Error("the recipe of a response has its settings");
  let number = 0;
  let reason: ChoiceFinish = "length";

  const event = (type: string, fields: object): FormatEvent => ({ name: type, data: { type, sequence_number: number++, ...fields } });
  const standing = (type: string, now: ResponseStanding) => event(type, { response: responseObject(header, settings, now) });
  const labelled = (token: number, logprob: number) => {
    const label = tokenLabel(tokenizer, token);
    return { token: label.text, logprob, bytes: Array.from(label.bytes) };
  };
  const logprobs = (scored: readonly ScoredToken[]): object[] =>
    topLogprobs === null
      ? []
      : scored.map(({ id, logprob, top }) => ({
          ...labelled(id, logprob ?? 0),
          top_logprobs: (top ?? []).slice(0, topLogprobs).map(([other, value]) => labelled(other, value)),
        }));
  const output = new ResponseOutput({ place: { of: header.id, turn, side: "output" }, event, logprobs });
  const ended = (usage: AnswerUsage, { stopped, at }: StreamDone): ResponseStanding => ({
    ...(stopped === true ? { status: "cancelled" } : endOf(reason)),
    output: output.items(itemStatus(reason, stopped === true)),
    usage: usageOf(usage),
    completed: at ?? null,
  });

  return {
    numbers: "events",
    opening: () => [standing("response.created", begun), standing("response.in_progress", begun), ...(mayCall ? [] : output.openText())],
    delta: ({ content }: Delta) => output.push(content),
    closing: (_index, why) => {
      reason = why;
      return [];
    },
    done: (usage, end) => {
      const endings = output.close(itemStatus(reason, end.stopped === true));
      const now = ended(usage, end);
      // Clients know of no event for a response that was cancelled: it is one that is not complete.
      const type = now.status === "completed" ? "response.completed" : "response.incomplete";
      return [...endings, standing(type, now)];
    },
    failed: (failure, usage) => {
      const broken = { status: "failed", completed: null, usage: usageOf(usage), failure } as const;
      return [...output.close("incomplete"), standing("response.failed", { ...broken, output: output.items("incomplete") })];
    },
    // At both places where clients look for it: OpenAI's document has the fields in the event, the Open Responses document has them in `error`.
    broken: (failure: ServiceFailure) => {
      const { error } = errorBody(failure);
      const { code, message, param } = error;
      return event("error", { code, message, param, error });
    },
    whole: ([choice]: readonly FinishedChoice[], usage, end) => {
      for (const content of choice?.contents ?? []) output.push(content);
      reason = choice?.reason ?? "length";
      output.close(itemStatus(reason, end.stopped === true));
      return responseObject(header, settings, ended(usage, end));
    },
  };
}

const itemStatus = (reason: ChoiceFinish, stopped: boolean): ItemStatus =>
  stopped || endOf(reason).status !== "completed" ? "incomplete" : "completed";

const usageOf = ({ prompt_tokens, completion_tokens, prompt_tokens_details }: AnswerUsage): TokenUsage => ({
  promptTokens: prompt_tokens,
  completionTokens: completion_tokens,
  cachedTokens: prompt_tokens_details.cached_tokens,
});
