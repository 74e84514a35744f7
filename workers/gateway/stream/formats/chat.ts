/** `chat.completion` and `chat.completion.chunk`. */
import type { Delta, DeltaContent, ScoredToken } from "../../../contracts/choice.ts";
import type { FunctionCall } from "../../../contracts/transcript.ts";
import { unnamed, type AnswerFormat, type AnswerHeader, type AnswerUsage, type FinishedChoice } from "./format.ts";
import { allPlacements, livePlacement } from "../placement-report.ts";
import { liveSpikes } from "../spike-report.ts";
import { liveState } from "../state-report.ts";
import { tokenLabel } from "../token-label.ts";
import { TokenReport, type TokenReportOptions } from "../token-report.ts";

/** `topLogprobs` is null where no log-probabilities were asked for. */
export interface ChatFormatOptions extends TokenReportOptions {
  readonly header: AnswerHeader;
  readonly topLogprobs: number | null;
  readonly includeUsage: boolean;
  /** Whether functions may be called: nothing is said then until the first text comes. */
  readonly calls?: boolean;
}

export function chatFormat({ header, topLogprobs, includeUsage, calls: mayCall = false, ...report }: ChatFormatOptions): AnswerFormat {
  const { tokenizer } = report;
  const told = new TokenReport(report);
  const { id, created, model, system_fingerprint } = header;
  const entry = (token: number, logprob: number) => {
    const { text, bytes } = tokenLabel(tokenizer, token);
    return { token: text, logprob, bytes: Array.from(bytes) };
  };
  const logprobs = (tokens: readonly ScoredToken[]) =>
    topLogprobs === null
      ? null
      : {
          content: tokens.map((token) => ({
            ...entry(token.id, token.logprob ?? 0),
            top_logprobs: (token.top ?? []).slice(0, topLogprobs).map(([alternative, logprob]) => entry(alternative, logprob)),
          })),
          refusal: null,
        };
  const chunkOf = (choices: readonly object[], usage: AnswerUsage | null) => ({
    id,
    object: "chat.completion.chunk",
    created,
    model,
    system_fingerprint,
    choices,
    ...(includeUsage ? { usage } : {}),
  });
  return {
    numbers: "entries",
    opening: (index) =>
      unnamed(chunkOf([{ index, delta: { role: "assistant", content: mayCall ? null : "" }, logprobs: null, finish_reason: null }], null)),
    delta: ({ index, content, spikes, state, placement }: Delta) =>
      unnamed({
        ...chunkOf(
          [{ index, delta: deltaOf(content), logprobs: logprobs(content.tokens), finish_reason: null, ...told.ids(content.tokens) }],
          null,
        ),
        // All choices go on from one prompt.
        ...told.prompt(index === 0 && content.kind === "text" ? content.prompt : undefined),
        ...liveSpikes(spikes),
        ...liveState(state),
        ...livePlacement(placement),
      }),
    closing: (index, reason) => unnamed(chunkOf([{ index, delta: {}, logprobs: null, finish_reason: reason }], null)),
    done: (usage) => (includeUsage ? unnamed(chunkOf([], usage)) : []),
    whole: (choices: readonly FinishedChoice[], usage) => ({
      id,
      object: "chat.completion",
      created,
      model,
      system_fingerprint,
      choices: choices.map(({ index, text, calls, tokens, reason, placements }) => ({
        index,
        message: {
          role: "assistant",
          content: text === "" && calls.length > 0 ? null : text,
          refusal: null,
          ...(calls.length === 0 ? {} : { tool_calls: calls.map(callOf) }),
        },
        logprobs: logprobs(tokens),
        finish_reason: reason,
        ...told.ids(tokens),
        ...allPlacements(placements),
      })),
      usage,
      ...told.prompt(choices[0]?.prompt),
      ...told.scores(choices[0]?.scoredPrompt),
    }),
  };
}

const callOf = ({ id, name, arguments: given }: FunctionCall) => ({ id, type: "function", function: { name, arguments: given } });

/** A call's name comes first, with empty arguments; what follows names the call by its place alone. */
function deltaOf(content: DeltaContent): object {
  if (content.kind === "text") return { content: content.text };
  const { call: index, begun, arguments: given } = content;
  return {
    tool_calls: [begun === undefined ? { index, function: { arguments: given } } : { index, ...callOf({ ...begun, arguments: given }) }],
  };
}
