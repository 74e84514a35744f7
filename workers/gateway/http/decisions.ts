/** `POST /v1/decisions`: typed answers with probabilities. The input is read once, and each question from its state. */
import type { CacheReport } from "../../contracts/cache-report.ts";
import { missingAbility } from "../../contracts/request/missing-ability.ts";
import type { DecisionInput, DecisionScores } from "../../contracts/decisions.ts";
import { greedyParameters, type ModelDescription } from "../../contracts/engine.ts";
import { servedModel, type ServedModel } from "../../models/served-model.ts";
import { versionOf } from "../../models/version.ts";
import { describeForSession, describeModel, fromSession, versionOfSession } from "../backend.ts";
import { answerOf, questionOf } from "../decisions/answers.ts";
import { calibrated } from "../decisions/calibrated.ts";
import { askedBy, labelLetters, labelTokens } from "../decisions/labels.ts";
import { averaged, writeBothOrders, type AskedProbabilities, type Question } from "../decisions/question.ts";
import { DecisionWaiter } from "../decisions/waiter.ts";
import type { GatewayContext } from "../environment.ts";
import { unsupportedField } from "../failures.ts";
import { placeOf } from "../pipeline.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { requireTenant } from "../plan/require-tenant.ts";
import { decisionBody, type DecisionBody } from "../schema/decision.ts";
import { isAbsent, parseBody } from "../schema/parse.ts";
import { cacheHeader } from "../stream/deliver.ts";
import { deliverJson, untilClientLeaves } from "../stream/whole-json.ts";
import { contextId, sessionId } from "./path-id.ts";
import { readJson } from "./read-json.ts";

export async function decisions(c: GatewayContext): Promise<Response> {
  const body = parseBody(decisionBody, await readJson(c.req.raw));
  const input = inputOf(c, body);
  const { entry } = await modelMeant(c, body.model);
  const model = await servedModel(c.env, entry);
  return await deliverDecision(c, async (waiting) => {
    const { scores, probabilities } = await askAll(c, waiting, { model, input, questions: body.questions.map(questionOf) });
    return {
      model: model.card.id,
      answers: body.questions.map((question, at) => answerOf(question, probabilities[at] as AskedProbabilities)),
      usage: {
        input_tokens: scores.inputTokens,
        input_tokens_details: { cached_tokens: scores.cachedTokens, cache_write_tokens: scores.writtenTokens },
        output_tokens: scores.outputTokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: scores.inputTokens + scores.outputTokens,
      },
    };
  });
}

function inputOf(c: GatewayContext, { input, session_id: session, context_id: context }: DecisionBody): DecisionInput {
  if (!isAbsent(input)) return { kind: "messages", messages: input };
  requireTenant(c);
  return { kind: "session", session: isAbsent(context) ? sessionId(session ?? "") : contextId(context) };
}

export interface AskedQuestions {
  readonly scores: DecisionScores;
  /** Of each question. */
  readonly probabilities: readonly AskedProbabilities[];
}

export interface Asked {
  readonly model: ServedModel;
  readonly input: DecisionInput;
  readonly questions: readonly Question[];
  /** Names a question of the request; left out where it has them in a list. */
  readonly fieldOf?: (at: number) => string;
}

/** The client, as long as it waits. */
export interface Waiting {
  readonly signal: AbortSignal;
  /** A backend is at work, and the state of the input was found like this. */
  readonly onBegun: (cache: CacheReport) => void;
}

/** The client hears of it while it takes its time, so that it is given up once the client has gone. */
export async function deliverDecision(c: GatewayContext, decide: (waiting: Waiting) => Promise<object>): Promise<Response> {
  const abort = untilClientLeaves(c);
  const begun = Promise.withResolvers<undefined>();
  let headers: Record<string, string> = {};
  const onBegun = (cache: CacheReport) => {
    headers = { "x-spikingbrain-cache": cacheHeader(cache) };
    begun.resolve(undefined);
  };
  return await deliverJson(c, { answer: decide({ signal: abort.signal, onBegun }), begun: begun.promise, abort, headers: () => headers });
}

/** @throws ServiceError where the model, its backend or the input can't be asked. */
export async function askAll(
  c: GatewayContext,
  { signal, onBegun }: Waiting,
  { model, input, questions, fieldOf = (at: number) => `questions[${String(at)}]` }: Asked,
): Promise<AskedQuestions> {
  const { tenant, requestId, facts } = c.var;
  const description = await describe(c, model, input);
  requireScores(description);
  facts["model"] = model.card.id;
  facts["questions"] = questions.length;
  const letters = labelLetters(model);
  const { prior = false, temperature = 1 } = model.card.decisions ?? {};
  const orders = questions.flatMap((question, at) =>
    writeBothOrders(askedBy(model, question), letters).map(({ text, labels }) => ({
      text,
      labels: labelTokens(model, labels, fieldOf(at)),
    })),
  );
  const scores = await fromSession(
    c.env.SESSION.decide(
      {
        ...placeOf(c.req.raw),
        ...{ tenant, requestId, input, prior },
        model: versionOf(description),
        abilities: description.abilities,
        questions: orders,
        contextLength: description.contextLength,
      },
      new DecisionWaiter(signal, onBegun),
    ),
  );
  // What was found may have been refused since it was told.
  onBegun(scores.cache);
  const probabilities = questions.map((_question, at) => {
    const ofBoth = (list: readonly (readonly number[])[]) => list.slice(2 * at, 2 * at + 2);
    const { options, labelMass } = averaged(ofBoth(scores.logprobs), ofBoth(scores.priors));
    const beginsWithLabel = scores.beginsWithLabel.slice(2 * at, 2 * at + 2).every((one) => one);
    return { options: calibrated(options, temperature), labelMass, beginsWithLabel };
  });
  return { scores, probabilities };
}

async function describe(c: GatewayContext, { card }: ServedModel, input: DecisionInput): Promise<ModelDescription> {
  const { tenant } = c.var;
  if (input.kind !== "session" || tenant === null) return await describeModel(c.env, card);
  return await describeForSession(c.env, card, () => versionOfSession(c.env, tenant, input.session));
}

function requireScores({ id, abilities }: ModelDescription): void {
  if (missingAbility({ ...greedyParameters, scoredTokens: [0, 1] }, abilities) === undefined) return;
  throw unsupportedField(
    "model",
    `'model': the backend of the model '${id}' can't tell how likely named tokens are, so that it decides nothing.`,
  );
}
