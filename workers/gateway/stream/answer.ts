/** Turns choice events into an answer: the payloads of a stream, or one whole object. */
import type { ChoiceEvent, ScoredToken } from "../../contracts/choice.ts";
import type { Job } from "../../contracts/choice.ts";
import type { AnswerFormat, AnswerUsage } from "./format.ts";
import type { UsageCounter } from "./usage.ts";

interface OpenChoice {
  readonly index: number;
  readonly texts: string[];
  readonly tokens: ScoredToken[];
  reason: "stop" | "length";
}

type Events = AsyncGenerator<ChoiceEvent, void, undefined>;

/** The JSON of each `data:` line up to, and without, `[DONE]`. */
export async function* streamedAnswer(
  events: Events,
  jobs: readonly Job[],
  format: AnswerFormat,
  usage: UsageCounter,
  includeUsage: boolean,
  report: (usage: AnswerUsage) => void,
): AsyncGenerator<object, void, undefined> {
  try {
    for (const { index } of jobs) {
      const opening = format.opening(index);
      if (opening !== null) yield opening;
    }
    for await (const event of events) {
      if (event.type === "piece") {
        yield format.chunk(event);
        continue;
      }
      usage.add(event);
      yield format.closing(event.index, event.reason);
    }
    if (includeUsage) yield format.usage(usage.total());
  } finally {
    // Reached without the loop above when the reader leaves during the opening chunks.
    events.return().catch(() => undefined);
    report(usage.total());
  }
}

export async function wholeAnswer(
  events: Events,
  jobs: readonly Job[],
  format: AnswerFormat,
  usage: UsageCounter,
  report: (usage: AnswerUsage) => void,
): Promise<object> {
  const choices = jobs.map(({ index }): OpenChoice => ({
    index,
    texts: [],
    tokens: [],
    reason: "length",
  }));
  for await (const event of events) {
    const choice = choices[event.index];
    if (choice === undefined) continue;
    if (event.type === "piece") {
      choice.texts.push(event.text);
      choice.tokens.push(...event.tokens);
    } else {
      choice.reason = event.reason;
      usage.add(event);
    }
  }
  report(usage.total());
  return format.whole(
    choices.map(({ texts, ...choice }) => ({ ...choice, text: texts.join("") })),
    usage.total(),
  );
}
