/** `POST /v1/decisions`: typed answers with probabilities. The input is read once, and each question from its state. */
import { missingAbility } from "../../contracts/request/missing-ability.ts";
import type { DecisionInput, DecisionScores } from "../../contracts/decisions.ts";
import { greedyParameters, type ModelDescription } from "../../contracts/engine.ts";
import { servedModel, type ServedModel } from "../../models/served-model.ts";
import { versionOf } from "../../models/version.ts";
import { SignalledCaller } from "../../waiting/caller.ts";
import { describeForSession, describeModel, fromSession, versionOfSession } from "../backend.ts";
import { answerOf, questionOf } from "../decisions/answers.ts";
import { calibrated } from "../decisions/calibrated.ts";
import { askedBy, labelLetters, labelTokens } from "../decisions/labels.ts";
import { averaged, writeBothOrders, type AskedProbabilities, type Question } from "../decisions/question.ts";
import type { GatewayContext } from "../environment.ts";
import { unsupportedField } from "../failures.ts";
import { placeOf } from "../pipeline.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { requireTenant } from "../plan/require-tenant.ts";
import { decisionBody, type DecisionBody } from "../schema/decision.ts";
import { isAbsent, parseBody } from "../schema/parse.ts";
import { cacheHeader } from "../stream/deliver.ts";
import { contextId, sessionId } from "./path-id.ts";
import { readJson } from "./read-json.ts";

export async function decisions(c: GatewayContext): Promise<Response> {
  const body = parseBody(decisionBody, await readJson(c.req.raw));
  const input = inputOf(c, body);
  const { entry } = await modelMeant(c, body.model);
  const model = await servedModel(c.env, entry);
  const asked = await askAll(c, model, input, body.questions.map(questionOf));
  const { scores, probabilities } = asked;
  c.header("x-spikingbrain-cache", cacheHeader(scores.cache));
  return c.json({
    model: model.card.id,
    answers: body.questions.map((question, at) => answerOf(question, probabilities[at] as AskedProbabilities)),
    usage: {
      input_tokens: scores.inputTokens,
      input_tokens_details: { cached_tokens: scores.cachedTokens, cache_write_tokens: scores.writtenTokens },
      output_tokens: scores.outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: scores.inputTokens + scores.outputTokens,
    },
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

/** `fieldOf` names a question of the request. @throws ServiceError where the model, its backend or the input can't be asked. */
export async function askAll(
  c: GatewayContext,
  model: ServedModel,
  input: DecisionInput,
  questions: readonly Question[],
  fieldOf = (at: number) => `questions[${String(at)}]`,
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
      new SignalledCaller(c.req.raw.signal),
    ),
  );
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
