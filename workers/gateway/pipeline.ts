/**
 * The life of a request that generates. Read this first.
 *
 * 1. Receive     `app.ts`: request id, log line, headers, key; `http/read-json.ts`: content type, size, JSON
 * 2. Validate    `schema/`: strict wire shapes; what is unknown or unsupported is refused by name
 * 3. Render      `http/chat-completions.ts`, `http/completions.ts`: chat template and tokenizer make token ids
 * 4. Plan        `generate/jobs.ts`: what one request may ask for, sampling, one job a choice
 * 5. Route       `backend.ts`: which backend runs the jobs
 * 6. Generate    `generate/`: token ids become text; stop strings; choices interleave
 * 7. Stream      `stream/`: OpenAI's shapes, whole or as server-sent events, with exactly one end
 */
import type * as z from "zod";
import { chooseBackend, describeBackend } from "./backend.ts";
import type { GatewayContext } from "./environment.ts";
import { cancelled } from "./failures.ts";
import { planJobs, type JobOptions } from "./generate/jobs.ts";
import { startGeneration } from "./generate/start.ts";
import { readJson } from "./http/read-json.ts";
import { describeCause, logLine } from "./log.ts";
import type { ServedModel } from "../model/served-model.ts";
import { requireModel } from "./model.ts";
import { requireSpikes } from "./require-spikes.ts";
import { requireState } from "./require-state.ts";
import type { GenerationFields } from "./schema/generation-fields.ts";
import { parseBody } from "./schema/parse.ts";
import { streamedAnswer, wholeAnswer } from "./stream/answer.ts";
import type { AnswerFormat, AnswerHeader, AnswerUsage } from "./stream/format.ts";
import { EVENT_STREAM_HEADERS, eventStream } from "./stream/sse.ts";
import { UsageCounter } from "./stream/usage.ts";

/** What an endpoint adds to the common life: its wire shape, how its prompt is made, and how its answer looks. */
export interface GenerationEndpoint<Body extends GenerationFields> {
  readonly idPrefix: string;
  readonly schema: z.ZodType<Body>;
  render(body: Body, model: ServedModel): JobOptions;
  format(body: Body, model: ServedModel, header: AnswerHeader): AnswerFormat;
}

export async function answerGeneration<Body extends GenerationFields>(
  c: GatewayContext,
  endpoint: GenerationEndpoint<Body>,
): Promise<Response> {
  const { requestId, facts } = c.var;
  const body = parseBody(endpoint.schema, await readJson(c.req.raw));

  const model = await requireModel(c.env, body.model);
  const options = endpoint.render(body, model);
  const backend = chooseBackend(c.env);
  const description = await describeBackend(backend);
  const spikes = body.spikes === true ? requireSpikes(description) : null;
  if (body.state === true) requireState(description);
  const jobs = planJobs(body, options, model, description.contextLength, requestId);

  const abort = new AbortController();
  const client = c.req.raw.signal;
  client.addEventListener("abort", () => abort.abort(cancelled()), { once: true });
  const events = await startGeneration(backend, jobs, model.tokenizer, abort);

  const format = endpoint.format(body, model, {
    id: `${endpoint.idPrefix}-${requestId}`,
    created: Math.floor(Date.now() / 1000),
    model: model.card.id,
    system_fingerprint: `fp_${description.digest.slice(0, 10)}_${description.kernel}`,
  });
  const report = (usage: AnswerUsage) => {
    facts["promptTokens"] = usage.prompt_tokens;
    facts["completionTokens"] = usage.completion_tokens;
  };
  facts["choices"] = jobs.length;
  const counter = new UsageCounter(jobs, spikes);
  if (body.stream !== true) return c.json(await wholeAnswer(events, jobs, format, counter, report));

  const includeUsage = body.stream_options?.include_usage === true;
  const payloads = streamedAnswer(events, jobs, format, counter, includeUsage, (usage) => {
    report(usage);
    logLine("info", "stream_ended", { requestId, ...facts });
  });
  const stream = eventStream(payloads, {
    abort,
    keepAliveMilliseconds: Number(c.env.KEEP_ALIVE_SECONDS ?? 15) * 1000,
    onFailure: (failure, cause) => {
      facts["failure"] = failure.code;
      if (failure.code !== "cancelled") logLine("error", "stream_failed", { requestId, code: failure.code, cause: describeCause(cause) });
    },
  });
  return c.body(stream, 200, EVENT_STREAM_HEADERS);
}
