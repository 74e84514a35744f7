/** Hands an open stream to a client: whole, or as server-sent events from wherever the client is. */
import { decodeEntries } from "../../contracts/entry-stream.ts";
import type { Placed } from "../../contracts/pool.ts";
import type { CacheReport } from "../../contracts/cache-report.ts";
import type { OpenStream } from "../../contracts/session.ts";
import { logLine } from "../../observe/log-line.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { GatewayContext } from "../environment.ts";
import { responseId } from "../responses/response-id.ts";
import { openingEvents, streamedAnswer, wholeAnswer } from "./answer.ts";
import type { AnswerUsage } from "./formats/format.ts";
import { begun, responseObject } from "./formats/response-object.ts";
import { formatOf, readRecipe, type AnswerRecipe } from "./recipe.ts";
import { eventStreamHeaders, eventStream } from "./sse.ts";
import { failureReporter } from "./failure-reporter.ts";
import { eventId } from "./stream-id.ts";
import { UsageCounter } from "./usage.ts";
import { deliverJson, untilClientLeaves } from "./whole-json.ts";

export async function deliverWhole(c: GatewayContext, open: OpenStream, tokenizer: Tokenizer): Promise<Response> {
  const { recipe, format, usage, entries, abort } = prepared(c, open, tokenizer);
  const begun = Promise.withResolvers<"begun">();
  const answer = wholeAnswer(entries, recipe, format, usage, reporter(c), () => {
    begun.resolve("begun");
  });
  const headers = () => streamHeaders(c, open, recipe);
  return await deliverJson(c, { answer, begun: begun.promise, abort, headers, errorBody: format.errorBody });
}

/** `after` is the number of the last entry, or of the last event where its format counts these, that the client has; null for one that has none. */
export function deliverEvents(c: GatewayContext, open: OpenStream, tokenizer: Tokenizer, after: number | null): Response {
  const { requestId, facts } = c.var;
  const { recipe, format, usage, entries, abort } = prepared(c, open, tokenizer);
  const report = (total: AnswerUsage) => {
    reporter(c)(total);
    logLine("info", "stream_ended", { requestId, ...facts });
  };
  const onFailure = failureReporter(c);
  const idOf = (number: number) => eventId(open.stream, number);
  const streamed = { recipe, format, usage, after, idOf, report, onFailure };
  const stream = eventStream(streamedAnswer(entries, streamed), {
    abort,
    opening: openingEvents(streamed),
    isBegun: (open.known ?? "") !== "",
    keepAliveMilliseconds: c.var.settings.keepAliveMilliseconds,
    onFailure,
    ...(format.broken === undefined ? {} : { failureEvent: format.broken, endsInDone: false }),
  });
  return c.body(stream, 200, { ...eventStreamHeaders, ...streamHeaders(c, open, recipe) });
}

/** Of a response whose client asks for it later. */
export async function deliverBeginning(c: GatewayContext, open: OpenStream): Promise<Response> {
  const recipe = recipeOf(open);
  await open.entries.cancel("its client does not wait for it").catch(() => undefined);
  if (recipe.response === undefined) throw new Error("only a response is asked for later");
  return c.json(responseObject(recipe.header, recipe.response, begun), 200, streamHeaders(c, open, recipe));
}

/** What is known once an answer has begun: a response is named by its session and its stream, and a message says what was remembered. */
export function recipeOf({
  recipe: text,
  session,
  stream,
  turn = 0,
  cache,
}: Pick<OpenStream, "recipe" | "session" | "stream" | "turn"> & Partial<Pick<OpenStream, "cache">>): AnswerRecipe {
  const recipe = readRecipe(text);
  if (recipe.prompt !== undefined) return { ...recipe, prompt: { ...recipe.prompt, cached: cache?.tokens ?? 0 } };
  if (recipe.endpoint !== "response" || session === undefined) return recipe;
  return { ...recipe, header: { ...recipe.header, id: responseId({ session, stream }) }, turn };
}

function prepared(c: GatewayContext, open: OpenStream, tokenizer: Tokenizer) {
  const recipe = recipeOf(open);
  const abort = untilClientLeaves(c);
  c.var.facts["cache"] = open.cache.outcome;
  const format = formatOf(recipe, tokenizer);
  return { recipe, format, usage: new UsageCounter(recipe), entries: decodeEntries(open.entries, abort.signal, open.known), abort };
}

const reporter = (c: GatewayContext) => (usage: AnswerUsage) => {
  const { facts } = c.var;
  facts["promptTokens"] = usage.prompt_tokens;
  facts["completionTokens"] = usage.completion_tokens;
  facts["cachedTokens"] = usage.prompt_tokens_details.cached_tokens;
};

function streamHeaders(
  c: GatewayContext,
  { stream, cache, placed, session }: OpenStream,
  { header: { model }, other }: AnswerRecipe,
): Record<string, string> {
  return {
    "x-spikingbrain-stream": stream,
    // Names of models hold nothing that a header's quotes may not.
    "x-spikingbrain-model": other === undefined ? model : `${model}; asked="${other.asked}"; why="${other.why.join(", ")}"`,
    "x-spikingbrain-cache": cacheHeader(cache),
    ...(placed === undefined ? {} : backendHeaders(placed, c.var.isAdmin)),
    ...(session === undefined ? {} : { "x-spikingbrain-session": session }),
  };
}

/** Why it runs there is for administrators alone. */
function backendHeaders({ backend, kind, reasons }: Placed, isAdmin: boolean): Record<string, string> {
  return {
    "x-spikingbrain-backend": `${kind} ${backend}`,
    ...(isAdmin && reasons.length > 0 ? { "x-spikingbrain-plan": reasons.join(", ") } : {}),
  };
}

/** The reason is a sentence of ours; what a header's quotes may not hold is not in it. */
/** `x-spikingbrain-cache`. */
export function cacheHeader({ outcome, tokens, reason }: CacheReport): string {
  return `${outcome}; tokens=${tokens}; reason="${reason.replaceAll(/["\\\r\n]/g, " ")}"`;
}
