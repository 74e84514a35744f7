/** Turns a stream's entries into an answer: the payloads of an event stream, or one whole object. */
import type { ChoiceFinish } from "../../contracts/finish.ts";
import { textOf, type DeltaContent, type PlacementReport, type TextContent } from "../../contracts/choice.ts";
import type { StreamDone, StreamEntry } from "../../contracts/session.ts";
import type { AnswerFormat, AnswerUsage, FinishedChoice, FormatEvent } from "./formats/format.ts";
import type { AnswerRecipe } from "./recipe.ts";
import type { SseBatch, SseBatches, SseEvent } from "./sse.ts";
import { AnswerFailed } from "../../contracts/entry-stream.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import { eventsShortened, streamShortened } from "../failures.ts";
import type { UsageCounter } from "./usage.ts";

interface OpenChoice {
  readonly index: number;
  readonly contents: DeltaContent[];
  reason: ChoiceFinish;
  stop?: string;
  placements?: readonly PlacementReport[];
}

type Entries = AsyncGenerator<readonly StreamEntry[], void, undefined>;

export interface StreamedOptions {
  readonly recipe: AnswerRecipe;
  readonly format: AnswerFormat;
  readonly usage: UsageCounter;
  /** Number of the last entry, or of the last event, that the client has; null for one that comes for the first time. */
  readonly after: number | null;
  readonly idOf: (number: number) => string;
  readonly report: (usage: AnswerUsage) => void;
  readonly onFailure: (failure: ServiceFailure, cause: unknown) => void;
}

/** What a client that comes for the first time is told before any entry, where its format does not count events. */
export function openingEvents({ recipe, format, after }: Pick<StreamedOptions, "recipe" | "format" | "after">): SseBatch {
  return format.numbers === "events" || (after ?? 0) > 0 ? [] : recipe.choices.flatMap(({ index }) => format.opening(index));
}

/**
 * The events after {@link openingEvents} up to, and without, `[DONE]`. Of the events that an entry makes the last carries its number.
 * @throws ServiceError where the stream ends before what the client has of it.
 */
export async function* streamedAnswer(entries: Entries, options: StreamedOptions): SseBatches {
  const { format, usage, after, report } = options;
  try {
    if (format.numbers === "events") {
      let number = 0;
      for await (const batch of allEvents(entries, options)) {
        const unseen = batch.filter(() => number++ > (after ?? -1));
        if (unseen.length > 0) yield unseen;
      }
      if (after !== null && number <= after) throw eventsShortened(after, number - 1);
      return;
    }
    yield* eventsAfterEntry(entries, after ?? 0, options);
  } finally {
    // Reached without the loop above when the reader leaves during the opening chunks.
    entries.return().catch(() => undefined);
    report(usage.total());
  }
}

async function* eventsAfterEntry(entries: Entries, after: number, options: StreamedOptions): SseBatches {
  const { usage, idOf } = options;
  let last = 0;
  for await (const batch of entries) {
    const events: SseEvent[] = [];
    let isWhole = false;
    for (const { number, event } of batch) {
      last = number ?? last;
      isWhole = event.type === "done" && last >= after;
      if (event.type === "end") usage.add(event);
      const made = eventsOf(event, options);
      if (number !== null && number <= after) continue;
      for (const [at, one] of made.entries()) events.push(number === null || at < made.length - 1 ? one : { ...one, id: idOf(number) });
    }
    if (isWhole) yield { last: events };
    else if (events.length > 0) yield events;
  }
  if (last < after) throw streamShortened(idOf(after), idOf(last));
}

/** Where the answer's own failure is one of them. */
async function* allEvents(entries: Entries, options: StreamedOptions): AsyncGenerator<readonly FormatEvent[], void, undefined> {
  const { recipe, format, usage } = options;
  const opening = recipe.choices.flatMap(({ index }) => format.opening(index));
  if (opening.length > 0) yield opening;
  try {
    for await (const batch of entries) {
      const events: FormatEvent[] = [];
      for (const { event } of batch) {
        if (event.type === "end") usage.add(event);
        events.push(...eventsOf(event, options));
      }
      if (events.length > 0) yield events;
    }
  } catch (cause) {
    if (!(cause instanceof AnswerFailed) || format.failed === undefined) throw cause;
    options.onFailure(cause.failure, cause);
    yield format.failed(cause.failure, usage.total());
  }
}

function eventsOf(event: StreamEntry["event"], { format, usage }: StreamedOptions): readonly FormatEvent[] {
  switch (event.type) {
    case "delta":
      return format.delta(event);
    case "end":
      return format.closing(event.index, event.reason, event.stop);
    case "done":
      return format.done(usage.total(), event);
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
  const choices = recipe.choices.map(({ index }): OpenChoice => ({ index, contents: [], reason: "length" }));
  let end: StreamDone = { type: "done" };
  try {
    for await (const { event } of each(entries)) {
      onEntry();
      if (event.type === "done") end = event;
      if (event.type !== "delta" && event.type !== "end") continue;
      const choice = choices[event.index];
      if (choice === undefined) continue;
      if (event.type === "delta") {
        choice.contents.push(event.content);
      } else {
        choice.reason = event.reason;
        if (event.stop !== undefined) choice.stop = event.stop;
        if (event.placements !== undefined) choice.placements = event.placements;
        usage.add(event);
      }
    }
  } finally {
    report(usage.total());
  }
  return format.whole(
    choices.map((choice) => ({ ...choice, ...joined(choice.contents) })),
    usage.total(),
    end,
  );
}

function joined(contents: readonly DeltaContent[]): Pick<FinishedChoice, "text" | "calls" | "tokens" | "prompt" | "scoredPrompt"> {
  const calls: { readonly id: string; readonly name: string; readonly parts: string[] }[] = [];
  for (const content of contents) {
    if (content.kind === "text") continue;
    if (content.begun !== undefined) calls.push({ ...content.begun, parts: [] });
    calls[content.call]?.parts.push(content.arguments);
  }
  return {
    text: contents.map(textOf).join(""),
    calls: calls.map(({ parts, ...call }) => ({ ...call, arguments: parts.join("") })),
    tokens: contents.flatMap(({ tokens }) => tokens),
    ...ofPrompt("prompt", contents),
    ...ofPrompt("scoredPrompt", contents),
  };
}

/** What one of them says of the prompt. */
function ofPrompt<Name extends "prompt" | "scoredPrompt">(name: Name, contents: readonly DeltaContent[]): Pick<TextContent, Name> | object {
  const [said] = contents.flatMap((content) => (content.kind === "text" && content[name] !== undefined ? [content[name]] : []));
  return said === undefined ? {} : { [name]: said };
}

async function* each(entries: Entries): AsyncGenerator<StreamEntry, void, undefined> {
  for await (const batch of entries) yield* batch;
}
