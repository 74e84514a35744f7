import type { Texts } from "../language/english.ts";
import { answerTokens, tokensPerSecond } from "../state/selectors.ts";
import type { AssistantMessage, Measure } from "../state/types.ts";
import { useApp } from "./context.ts";
import { formatCount, formatRate, formatSeconds } from "./format.ts";

/** How an answer began and how fast it came: seen live while it grows, and exact once the server has told the counts. */
export function Speed({ message }: { readonly message: AssistantMessage }) {
  const { texts } = useApp();
  const { measure } = message;
  if (measure.deltas === 0) return null;
  // Over several connections, time says more of the network than of the model.
  const rate = measure.resumed === true ? null : tokensPerSecond(measure);
  const parts = [
    ...beginning(measure, texts),
    ...(measure.firstTokenMs === undefined ? [] : [texts.firstToken(formatSeconds(measure.firstTokenMs, texts.code))]),
    ...(rate === null ? [] : [texts.speed(formatRate(rate, texts.code))]),
    ...(measure.resumed === true ? [texts.resumed] : []),
    `${measure.completionTokens === undefined ? "≈ " : ""}${texts.tokens(formatCount(answerTokens(measure), texts.code))}`,
  ];
  return (
    <ul class="speed" title={measure.cache?.reason}>
      {parts.map((part, index) => (
        <li key={index}>{part}</li>
      ))}
    </ul>
  );
}

/** What was remembered and what was read, once both are known. */
function beginning({ promptTokens, cachedTokens, cache }: Measure, texts: Texts): string[] {
  const remembered = cachedTokens ?? cache?.tokens;
  if (promptTokens === undefined || remembered === undefined) return [];
  const read = formatCount(promptTokens - remembered, texts.code);
  return [remembered === 0 ? texts.readTokens(read) : texts.remembered(formatCount(remembered, texts.code), read)];
}
