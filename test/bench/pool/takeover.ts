/** How long a client waits for what an upstream that died in mid-answer had not sent: what it had sent may still be on its way. */
import type { StreamEnd } from "./stream-load.ts";

export interface Death {
  /** Unix milliseconds. */
  readonly time: number;
  /** Of the whole answer, those that had been sent by then, by this upstream and by others before it. */
  readonly tokens: number;
}

/**
 * Milliseconds from each death within the stream to the first token that the dead upstream had not sent, which can only be another request's; none of
 * a death that the stream does not outlive. `charactersOf`: of the text of so many tokens from the answer's beginning.
 */
export function takeoverTimes(
  { since, milliseconds, arrivals }: Pick<StreamEnd, "since" | "milliseconds" | "arrivals">,
  deaths: readonly Death[],
  charactersOf: (tokens: number) => number,
): number[] {
  return deaths.flatMap(({ time, tokens }) => {
    if (time < since || time > since + milliseconds) return [];
    const sent = charactersOf(tokens);
    const next = arrivals.find(({ characters }) => characters > sent);
    return next === undefined ? [] : [next.time - time];
  });
}
