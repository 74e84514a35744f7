/**
 * The life of a request that generates. Read this first.
 *
 * 1. Receive     `app.ts`: request id, log line, headers, key, tenant; `http/read-json.ts`: content type, size, JSON
 * 2. Validate    `schema/`: strict wire shapes; what is unknown or unsupported is refused by name
 * 3. Render      `http/chat-completions.ts`, `http/completions.ts`, `http/responses.ts`: chat template and tokenizer make token ids;
 *                a turn of a session is rendered by its session (`workers/session/sessions/render-turn.ts`)
 * 4. Plan        `plan/jobs.ts`: what one request may ask for, sampling, one job a choice
 * 5. Order       `SESSION.start`: from here on the session Worker owns the answer (`workers/session/answers/stream-object.ts`): it finds the
 *                state of what is repeated, has the rest read, makes text of tokens, and keeps the state of it all
 * 6. Deliver     `stream/deliver.ts`: OpenAI's shapes, whole or as server-sent events, with exactly one end
 */
import type * as z from "zod";
import { describeForSession, describeModel, fromSession, versionOfSession } from "./backend.ts";
import type { GatewayContext } from "./environment.ts";
import { planJobs, tokenLimits, type JobOptions } from "./plan/jobs.ts";
import { readJson } from "./http/read-json.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import type { Job } from "../contracts/choice.ts";
import type { TurnRequest } from "../contracts/session.ts";
import { servedModel, type ServedModel } from "../models/served-model.ts";
import { versionOf } from "../models/version.ts";
import { askedConstraint, requireHoldable } from "./plan/constraint.ts";
import { firstThatAnswers } from "./plan/first-that-answers.ts";
import { modelChoices, type ModelChoice } from "./plan/model-choice.ts";
import { requireAbilities } from "./plan/require-abilities.ts";
import { requireTenant } from "./plan/require-tenant.ts";
import { requireSpikes } from "./plan/require-spikes.ts";
import { requireState } from "./plan/require-state.ts";
import type { GenerationFields } from "./schema/generation-fields.ts";
import { isAbsent, parseBody } from "./schema/parse.ts";
import type { RequestTools } from "./schema/tools.ts";
import { deliverBeginning, deliverEvents, deliverWhole } from "./stream/deliver.ts";
import { recipeVersion, type AnswerRecipe } from "./stream/recipe.ts";
import { SignalledCaller } from "../waiting/caller.ts";

/** What an endpoint adds to the common life: its wire shape, how its prompt is made, and how its answer looks. */
export interface GenerationEndpoint<Body extends GenerationFields> {
  readonly name: AnswerRecipe["endpoint"];
  readonly idPrefix: string;
  readonly schema: z.ZodType<Body>;
  /** The session that the body names, or a new one, and what it adds to it. */
  turn?(body: Body, c: GatewayContext): TurnPart | undefined;
  render(body: Body, model: ServedModel, isTurn: boolean): JobOptions;
  /** Functions that its answers may call; undefined where they may call none. */
  tools?(body: Body): RequestTools | undefined;
  /** What the recipe of its answers has beside that of others. */
  recipe?(body: Body, model: ServedModel, isTurn: boolean, jobs: readonly Job[]): Partial<AnswerRecipe>;
  /** Whether the client waits for nothing but the answer's beginning. */
  isLeft?(body: Body): boolean;
  /** What others say of a request that they refuse, in its own words. */
  inRequest?(failure: ServiceFailure, body: Body): ServiceFailure;
}

export type TurnPart = Pick<TurnRequest, "session" | "messages" | "instructions" | "tools" | "after" | "isResponse" | "isPassing">;

export async function answerGeneration<Body extends GenerationFields>(
  c: GatewayContext,
  endpoint: GenerationEndpoint<Body>,
): Promise<Response> {
  const body = parseBody(endpoint.schema, await readJson(c.req.raw));
  const turn = endpoint.turn?.(body, c);
  if (turn !== undefined) requireTenant(c);
  const choices = await modelChoices(c, body, turn !== undefined && turn.session !== null);
  try {
    return await firstThatAnswers(choices, (choice) => answerBy(c, endpoint, body, choice));
  } catch (cause) {
    if (!(cause instanceof ServiceError) || endpoint.inRequest === undefined) throw cause;
    throw new ServiceError(endpoint.inRequest(cause.failure, body), { cause });
  }
}

async function answerBy<Body extends GenerationFields>(
  c: GatewayContext,
  endpoint: GenerationEndpoint<Body>,
  body: Body,
  { entry, asked: askedModel, why }: ModelChoice,
): Promise<Response> {
  const { requestId, facts, tenant } = c.var;
  const model = await servedModel(c.env, entry);
  const turn = endpoint.turn?.(body, c);
  const options = endpoint.render(body, model, turn !== undefined);
  const session = turn?.session ?? null;
  const description =
    session === null || tenant === null
      ? await describeModel(c.env, model.card)
      : await describeForSession(c.env, model.card, () => versionOfSession(c.env, tenant, session));
  const spikes = body.spikes === true ? requireSpikes(description) : null;
  if (body.state === true) requireState(description);
  const tools = endpoint.tools?.(body);
  const asked = askedConstraint(body, tools);
  if (asked !== undefined) await requireHoldable(c.env, asked);
  const jobs = planJobs(body, options, model, description, requestId, { constraint: asked?.constraint, calls: tools !== undefined });
  requireAbilities(jobs, description, { constraint: asked?.param, scores: options.scoresField });
  const limits = tokenLimits(body, options, description.contextLength);
  // A state of constant size has room for any conversation, where it is kept; a request still has its own bound.
  const countsHeld = description.state?.constant !== true || !description.abilities.includes("states");

  const recipe: AnswerRecipe = {
    version: recipeVersion,
    endpoint: endpoint.name,
    header: {
      id: `${endpoint.idPrefix}${requestId}`,
      created: Math.floor(Date.now() / 1000),
      model: model.card.id,
      system_fingerprint: `fp_${description.digest.slice(0, 10)}_${description.kernel}`,
    },
    topLogprobs: options.topLogprobs,
    includeUsage: body.stream_options?.include_usage === true,
    choices: jobs.map(({ index, promptIndex }) => ({ index, promptIndex })),
    spikes,
    state: body.state === true,
    ...(body.return_token_ids === true ? { tokenIds: true } : {}),
    ...(isAbsent(body.prompt_logprobs)
      ? {}
      : { promptLogprobs: { alternatives: body.prompt_logprobs, isEchoed: options.prompts.some(({ echo }) => echo !== null) } }),
    ...(tools === undefined ? {} : { calls: true }),
    ...(why.length === 0 ? {} : { other: { asked: askedModel, why } }),
    ...endpoint.recipe?.(body, model, turn !== undefined, jobs),
  };
  facts["model"] = model.card.id;
  facts["choices"] = jobs.length;
  const streams = body.stream === true;
  const open = await fromSession(
    c.env.SESSION.start(
      {
        ...placeOf(c.req.raw),
        tenant,
        model: versionOf(description),
        abilities: description.abilities,
        jobs,
        recipe: JSON.stringify(recipe),
        resumable: streams,
        ...(body.hedge === true ? { hedge: true } : {}),
        ...(turn === undefined ? {} : { turn: { ...turn, limits, countsHeld } }),
      },
      new SignalledCaller(c.req.raw.signal),
    ),
  );
  if (streams) return deliverEvents(c, open, model.tokenizer, null);
  return endpoint.isLeft?.(body) === true ? await deliverBeginning(c, open) : await deliverWhole(c, open, model.tokenizer);
}

/** The runtime's word for where the request came in; tests and other runtimes have none. */
export function placeOf(request: Request): { readonly place?: string } {
  const colo: unknown = (request as { readonly cf?: { readonly colo?: unknown } }).cf?.colo;
  return typeof colo === "string" ? { place: colo } : {};
}
