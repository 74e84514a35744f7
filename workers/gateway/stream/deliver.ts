/** Hands an open stream to a client: whole, or as server-sent events from wherever the client is. */
import { decodeEntries } from "../../contracts/entry-stream.ts";
import type { Placed } from "../../contracts/pool.ts";
import type { CacheReport } from "../../contracts/cache-report.ts";
import type { OpenStream } from "../../contracts/session.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { GatewayContext } from "../environment.ts";
import { errorBody } from "../error-body.ts";
import { cancelled } from "../failures.ts";
import { responseId } from "../responses/response-id.ts";
import { openingEvents, streamedAnswer, wholeAnswer } from "./answer.ts";
import type { AnswerUsage } from "./formats/format.ts";
import { begun, responseObject } from "./formats/response-object.ts";
import { formatOf, readRecipe, type AnswerRecipe } from "./recipe.ts";
import { eventStreamHeaders, eventStream } from "./sse.ts";
import { within } from "../../waiting/within.ts";
import { slowJsonHeaders, slowJson } from "./slow-json.ts";
import { eventId } from "./stream-id.ts";
import { UsageCounter } from "./usage.ts";

/**
 * How long a whole answer, once begun, is computed before its first byte, and how long it is silent after that. Runtimes that stand alone notice
 * that a client has closed its connection only when they write to it, so an answer nobody waits for would be computed to its end.
 */
const wholeSilenceMilliseconds = 2_000;

export async function deliverWhole(c: GatewayContext, open: OpenStream, tokenizer: Tokenizer): Promise<Response> {
  const { recipe, format, usage, entries, abort } = prepared(c, open, tokenizer);
  const begun = Promise.withResolvers<"begun">();
  const answer = wholeAnswer(entries, recipe, format, usage, reporter(c), () => {
    begun.resolve("begun");
  });
  // Until it has begun, whatever keeps it from that is told by a status.
  await Promise.race([begun.promise, answer]);
  const soon = await within(answer, wholeSilenceMilliseconds, () => null);
  if (soon !== null) return c.json(soon, 200, streamHeaders(c, open, recipe));
  const body = slowJson(answer, {
    silenceMilliseconds: wholeSilenceMilliseconds,
    abort,
    onFailure: failureReporter(c),
    errorBody: format.errorBody ?? errorBody,
  });
  return c.body(body, 200, { ...slowJsonHeaders, ...streamHeaders(c, open, recipe) });
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
  const abort = new AbortController();
  const leave = () => {
    abort.abort(cancelled());
  };
  const client = c.req.raw.signal;
  client.addEventListener("abort", leave, { once: true });
  if (client.aborted) leave();
  c.var.facts["cache"] = open.cache.outcome;
  const format = formatOf(recipe, tokenizer);
  return { recipe, format, usage: new UsageCounter(recipe), entries: decodeEntries(open.entries, abort.signal, open.known), abort };
}

const failureReporter = (c: GatewayContext) => (failure: ServiceFailure, cause: unknown) => {
  const { requestId, facts } = c.var;
  facts["failure"] = failure.code;
  if (failure.code !== "cancelled") logLine("error", "stream_failed", { requestId, code: failure.code, cause: describeCause(cause) });
};

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
