/** Tries one model after another until one answers. Only before anything of an answer has been sent. */
import { ServiceError, type FailureCode, type ServiceFailure } from "../../contracts/errors.ts";
import type { ModelChoice } from "./model-choice.ts";

/** A model that can't answer now; whatever is wrong with the request itself is wrong with every model. */
const unable: ReadonlySet<FailureCode> = new Set(["engine_unavailable", "overloaded", "pool_unavailable"]);

/** @throws ServiceError of the first, with what became of the others. */
export async function firstThatAnswers<T>(choices: readonly ModelChoice[], answer: (choice: ModelChoice) => Promise<T>): Promise<T> {
  const failures: { readonly id: string; readonly failure: ServiceFailure }[] = [];
  for (const choice of choices) {
    try {
      return await answer(choice);
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      const { failure } = cause;
      // A fallback may refuse what the first would have taken: the next one may take it.
      if (failures.length === 0 && (!unable.has(failure.code) || choices.length === 1)) throw cause;
      failures.push({ id: choice.entry.card.id, failure });
    }
  }
  const [first, ...others] = failures;
  if (first === undefined) throw new Error("There is no model to ask.");
  const said = others.map(({ id, failure }) => `'${id}': ${failure.message}`).join(" ");
  throw new ServiceError({
    ...first.failure,
    message: `${first.failure.message} Nor could the models that were to answer in its place. ${said}`,
  });
}
