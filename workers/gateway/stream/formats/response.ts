/** Responses, whole and as the events of the Open Responses document: each named, and numbered from 0 in its data. */
import type { Delta, ScoredToken } from "../../../contracts/choice.ts";
import type { TokenUsage } from "../../../contracts/engine.ts";
import type { ServiceFailure } from "../../../contracts/errors.ts";
import type { ChoiceFinish } from "../../../contracts/finish.ts";
import type { StreamDone } from "../../../contracts/session.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { tokenLabel } from "../token-label.ts";
import type { AnswerFormat, AnswerHeader, AnswerUsage, FinishedChoice, FormatEvent } from "./format.ts";
import { answerItem, itemId, textPart, type ItemStatus, type TextPart } from "./response-items.ts";
import { begun, endOf, responseObject, type ResponseSettings, type ResponseStanding } from "./response-object.ts";

export interface ResponseFormatOptions {
  readonly header: AnswerHeader;
  readonly tokenizer: Tokenizer;
  readonly topLogprobs: number | null;
  readonly response?: ResponseSettings;
  /** Its number in a session. */
  readonly turn?: number;
}

/** For one reading of a stream from its beginning: what has come so far is in the events that end it. */
export function responseFormat({ header, tokenizer, topLogprobs, response: settings, turn = 0 }: ResponseFormatOptions): AnswerFormat {
  if (settings === undefined) throw new Error("the recipe of a response has its settings");
  const item = itemId("msg", { of: header.id, turn, side: "output" }, 0);
  const place = { item_id: item, output_index: 0, content_index: 0 };
  let number = 0;
  let text = "";
  const tokens: ScoredToken[] = [];
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
  const part = (): TextPart => ({ text, logprobs: logprobs(tokens) });
  const endings = (status: ItemStatus): FormatEvent[] => [
    event("response.output_text.done", { ...place, ...part() }),
    event("response.content_part.done", { ...place, part: textPart(part()) }),
    event("response.output_item.done", { output_index: 0, item: answerItem(item, status, [part()]) }),
  ];
  const ended = (usage: AnswerUsage, { stopped, at }: StreamDone): ResponseStanding => ({
    ...(stopped === true ? { status: "cancelled" } : endOf(reason)),
    output: [answerItem(item, itemStatus(reason, stopped === true), [part()])],
    usage: usageOf(usage),
    completed: at ?? null,
  });

  return {
    numbers: "events",
    opening: () => [
      standing("response.created", begun),
      standing("response.in_progress", begun),
      event("response.output_item.added", { output_index: 0, item: answerItem(item, "in_progress", []) }),
      event("response.content_part.added", { ...place, part: textPart({ text: "", logprobs: [] }) }),
    ],
    delta: ({ content }: Delta) => {
      // What says only how far the prompt is read is of the moment: it has no number.
      if (content.text === "" && content.tokens.length === 0) return [];
      text += content.text;
      tokens.push(...content.tokens);
      return [event("response.output_text.delta", { ...place, delta: content.text, logprobs: logprobs(content.tokens) })];
    },
    closing: (_index, why) => {
      reason = why;
      return [];
    },
    done: (usage, end) => {
      const now = ended(usage, end);
      // Clients know of no event for a response that was cancelled: it is one that is not complete.
      const type = now.status === "completed" ? "response.completed" : "response.incomplete";
      return [...endings(itemStatus(reason, end.stopped === true)), standing(type, now)];
    },
    failed: (failure, usage) => {
      const broken = { status: "failed", completed: null, usage: usageOf(usage), failure } as const;
      return [...endings("incomplete"), standing("response.failed", { ...broken, output: [answerItem(item, "incomplete", [part()])] })];
    },
    broken: ({ code, message, param }: ServiceFailure) => event("error", { code, message, param: param ?? null }),
    whole: ([choice]: readonly FinishedChoice[], usage, end) => {
      text = choice?.text ?? "";
      tokens.push(...(choice?.tokens ?? []));
      reason = choice?.reason ?? "length";
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
