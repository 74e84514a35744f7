/** How many tokens a conversation may have, for answers that must work while the engine is away. */
import { chooseBackend, describeBackend } from "./backend.ts";
import type { Environment } from "./environment.ts";
import type { ServedModel } from "./model.ts";
import { ServiceError } from "../contracts/errors.ts";

/** What the backend accepts; the model's own limit while no backend can say. */
export async function contextLimit(environment: Environment, model: ServedModel): Promise<number> {
  const ownLimit = model.card.contextLength;
  try {
    return Math.min(ownLimit, (await describeBackend(chooseBackend(environment))).contextLength);
  } catch (cause) {
    if (cause instanceof ServiceError) return ownLimit;
    throw cause;
  }
}
