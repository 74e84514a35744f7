/** Which model a request names. */
import { servedModel, type ServedModel } from "../models/served-model.ts";
import type { Environment } from "./environment.ts";
import { modelNotFound } from "./failures.ts";

/** The served model, when that is the one asked for. */
export async function requireModel(environment: Environment, name: string | null | undefined): Promise<ServedModel> {
  const model = await servedModel(environment);
  if (name !== null && name !== undefined && name !== model.card.id) throw modelNotFound(name);
  return model;
}
