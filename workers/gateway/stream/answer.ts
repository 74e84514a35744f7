/** Turns a stream's entries into an answer: the payloads of an event stream, or one whole object. */
import type { ChoiceFinish } from "../../contracts/finish.ts";
import type { PlacementReport, ScoredToken } from "../../contracts/choice.ts";
import type { StreamEntry } from "../../contracts/session.ts";
import type { AnswerFormat, AnswerUsage, FormatEvent } from "./formats/format.ts";
import type { AnswerRecipe } from "./recipe.ts";
import type { SseEvent } from "./sse.ts";
import { streamShortened } from "../failures.ts";
import type { UsageCounter } from "./usage.ts";

interface OpenChoice {
  readonly index: number;
  readonly texts: string[];
  readonly tokens: ScoredToken[];
  reason: ChoiceFinish;
  placements?: readonly PlacementReport[];
}

type Entries = AsyncGenerator<StreamEntry, void, undefined>;

export interface StreamedOptions {
  readonly recipe: AnswerRecipe;
  readonly format: AnswerFormat;
  readonly usage: UsageCounter;
  /** Number of the last entry that the client has; 0 for one that comes for the first time. */
  readonly after: number;
  readonly idOf: (number: number) => string;
  readonly report: (usage: AnswerUsage) => void;
}

/**
 * The events up to, and without, `[DONE]`. Of the events that an entry makes the last carries its number; the opening ones come before the first.
 * @throws ServiceError where the stream ends before what the client has of it.
 */
export async function* streamedAnswer(entries: Entries, options: StreamedOptions): AsyncGenerator<SseEvent, void, undefined> {
  const { recipe, format, usage, after, idOf, report } = options;
  try {
    for (const { index } of after === 0 ? recipe.choices : []) {
      yield* format.opening(index);
    }
    let last = 0;
    for await (const { number, event } of entries) {
      last = number ?? last;
      if (event.type === "end") usage.add(event);
      const made = eventsOf(event, options);
      if (number !== null && number <= after) continue;
      for (const [at, one] of made.entries()) yield number === null || at < made.length - 1 ? one : { ...one, id: idOf(number) };
    }
    if (last < after) throw streamShortened(idOf(after), idOf(last));
  } finally {
    // Reached without the loop above when the reader leaves during the opening chunks.
    entries.return().catch(() => undefined);
    report(usage.total());
  }
}

function eventsOf(event: StreamEntry["event"], { recipe, format, usage }: StreamedOptions): readonly FormatEvent[] {
  switch (event.type) {
    case "delta":
      return format.delta(event);
    case "end":
      return format.closing(event.index, event.reason);
    case "done":
      return recipe.includeUsage ? format.usage(usage.total()) : [];
    case "failed":
      return [];
  }
}

export async function wholeAnswer(
  entries: Entries,
  recipe: AnswerRecipe,
  format: AnswerFormat,
  usage: UsageCounter,
  report: (usage: AnswerUsage) => void,
  onEntry: () => void,
): Promise<object> {
  const choices = recipe.choices.map(({ index }): OpenChoice => ({ index, texts: [], tokens: [], reason: "length" }));
  try {
    for await (const { event } of entries) {
      onEntry();
      if (event.type !== "delta" && event.type !== "end") continue;
      const choice = choices[event.index];
      if (choice === undefined) continue;
      if (event.type === "delta") {
        choice.texts.push(event.content.text);
        choice.tokens.push(...event.content.tokens);
      } else {
        choice.reason = event.reason;
        if (event.placements !== undefined) choice.placements = event.placements;
        usage.add(event);
      }
    }
  } finally {
    report(usage.total());
  }
  return format.whole(
    choices.map(({ texts, ...choice }) => ({ ...choice, text: texts.join("") })),
    usage.total(),
  );
}
