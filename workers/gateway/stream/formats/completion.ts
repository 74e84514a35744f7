/** `text_completion`, whole and in chunks: OpenAI's legacy shape, whose log-probabilities evaluation tools read. */
import { textOf, type Delta, type ScoredToken } from "../../../contracts/choice.ts";
import { unnamed, type AnswerFormat, type AnswerHeader, type AnswerUsage, type FinishedChoice } from "./format.ts";
import { allPlacements, livePlacement } from "../placement-report.ts";
import { liveSpikes } from "../spike-report.ts";
import { liveState } from "../state-report.ts";
import { tokenLabel } from "../token-label.ts";
import { TokenReport, type TokenReportOptions } from "../token-report.ts";

export interface CompletionFormatOptions extends TokenReportOptions {
  readonly header: AnswerHeader;
  readonly topLogprobs: number | null;
  readonly includeUsage: boolean;
}

/** A choice, whole or one delta of it. */
interface ChoicePart extends Pick<FinishedChoice, "index" | "text" | "tokens"> {
  readonly prompt?: FinishedChoice["prompt"] | undefined;
  readonly scoredPrompt?: FinishedChoice["scoredPrompt"] | undefined;
}

export function completionFormat({ header, topLogprobs, includeUsage, ...report }: CompletionFormatOptions): AnswerFormat {
  const { tokenizer } = report;
  const told = new TokenReport(report);
  const { id, created, model, system_fingerprint } = header;
  const label = (token: number) => tokenLabel(tokenizer, token).text;
  /** The alternatives and, as OpenAI does, the token itself where it is not among them. */
  const alternatives = ({ id: token, logprob, top }: ScoredToken): Record<string, number> | null => {
    if (logprob === null) return null;
    const entries = (top ?? []).slice(0, topLogprobs ?? 0).map(([alternative, value]) => [label(alternative), value] as const);
    // Two ids may share one text; the likelier comes first and keeps the name.
    return Object.fromEntries([[label(token), logprob] as const, ...entries.toReversed()]);
  };
  const logprobs = (tokens: readonly ScoredToken[]) =>
    topLogprobs === null
      ? null
      : {
          tokens: tokens.map((token) => label(token.id)),
          token_logprobs: tokens.map((token) => token.logprob),
          top_logprobs: tokens.map(alternatives),
          text_offset: tokens.map((token) => token.offset),
        };
  const body = (choices: readonly object[], usage: { usage?: AnswerUsage | null }) => ({
    id,
    object: "text_completion",
    created,
    model,
    system_fingerprint,
    choices,
    ...usage,
  });
  const choiceOf = ({ index, text, tokens, prompt, scoredPrompt }: ChoicePart) => ({
    ...{ index, text, logprobs: logprobs([...told.echoed(scoredPrompt), ...tokens]) },
    ...told.prompt(prompt),
    ...told.ids(tokens),
  });
  const noUsage = includeUsage ? { usage: null } : {};
  return {
    numbers: "entries",
    opening: () => [],
    delta: ({ index, content, spikes, state, placement }: Delta) =>
      unnamed({
        ...body([{ ...choiceOf({ index, ...content, text: textOf(content) }), finish_reason: null }], noUsage),
        ...liveSpikes(spikes),
        ...liveState(state),
        ...livePlacement(placement),
      }),
    closing: (index, reason) => unnamed(body([{ index, text: "", logprobs: null, finish_reason: reason }], noUsage)),
    done: (usage) => (includeUsage ? unnamed(body([], { usage })) : []),
    whole: (choices: readonly FinishedChoice[], usage) =>
      body(
        choices.map(({ reason, placements, ...choice }) => ({
          ...{ ...choiceOf(choice), finish_reason: reason },
          ...told.scores(choice.scoredPrompt),
          ...allPlacements(placements),
        })),
        { usage },
      ),
  };
}
