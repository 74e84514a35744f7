/** `POST /v1/systemone`: decisions, as vLLM's clients ask for them. */
import { servedModel } from "../../models/served-model.ts";
import type { AskedProbabilities } from "../decisions/question.ts";
import { asAnswer, asQuestion } from "../decisions/systemone.ts";
import type { GatewayContext } from "../environment.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { fieldName, isAbsent, parseBody } from "../schema/parse.ts";
import { systemOneBody } from "../schema/systemone.ts";
import { askAll, deliverDecision } from "./decisions.ts";
import { readJson } from "./read-json.ts";

export async function systemOne(c: GatewayContext): Promise<Response> {
  const { model: name, state, instructions, questions } = parseBody(systemOneBody, await readJson(c.req.raw));
  const { entry } = await modelMeant(c, name);
  const model = await servedModel(c.env, entry);
  const messages = [
    ...(isAbsent(instructions) ? [] : [{ role: "system", content: instructions } as const]),
    { role: "user", content: textOf(state) } as const,
  ];
  const asked = Object.entries(questions);
  return await deliverDecision(c, async (waiting) => {
    const { scores, probabilities } = await askAll(c, waiting, {
      model,
      input: { kind: "messages", messages },
      questions: asked.map(([, question]) => asQuestion(question)),
      fieldOf: (at) => fieldName(["questions", asked[at]?.[0] ?? ""]),
    });
    const read = asked.map(([id, question], at) => ({ id, question, said: probabilities[at] as AskedProbabilities }));
    return {
      id: `decision-${c.var.requestId}`,
      object: "structured_decision",
      created: Math.floor(Date.now() / 1000),
      model: model.card.id,
      answers: Object.fromEntries(read.map(({ id, question, said }) => [id, asAnswer(question, said)])),
      usage: { input_tokens: scores.inputTokens, output_tokens: scores.outputTokens },
      diagnostics: Object.fromEntries(
        read.map(({ id, said: { labelMass, beginsWithLabel } }) => [id, { label_mass: labelMass, argmax_is_label: beginsWithLabel }]),
      ),
    };
  });
}

const textOf = (state: unknown): string => (isAbsent(state) ? "" : typeof state === "string" ? state : JSON.stringify(state, null, 2));
