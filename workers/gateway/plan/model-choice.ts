/** Which models may answer a request: the one that its name means, then those that it, or this deployment, has given for when that one can't. */
import { ServiceError } from "../../contracts/errors.ts";
import { catalog, type CatalogEntry } from "../../models/catalog.ts";
import { modelNotFound } from "../../models/failures.ts";
import { misconfigured } from "../../settings.ts";
import type { GatewayContext } from "../environment.ts";
import { invalidRequest } from "../failures.ts";
import type { ModelPair } from "../settings.ts";

/** Why another model answers than the one whose id was asked for; an answer's header says it. */
export type OtherName = "alias" | "fallback";

export interface ModelChoice {
  readonly entry: CatalogEntry;
  /** As the request had it. */
  readonly asked: string;
  readonly why: readonly OtherName[];
}

interface Named {
  readonly entry: CatalogEntry;
  readonly isAlias: boolean;
}

/** The model that a name means: its id, or an alias of it; the first one where none is named. @throws ServiceError `model_not_found`. */
export async function modelMeant(c: GatewayContext, name: string | null | undefined, field = "model"): Promise<ModelChoice> {
  const entries = await catalog(c.env);
  const [first] = entries;
  if (name === null || name === undefined) {
    if (first === undefined) throw new ServiceError(modelNotFound("", []));
    return { entry: first, asked: first.card.id, why: [] };
  }
  const { entry, isAlias } = named(entries, c.var.settings.modelAliases, name, field);
  return { entry, asked: name, why: isAlias ? ["alias"] : [] };
}

/**
 * In the order they are tried; one alone where there is no fallback. `fallback` is the request's; where it has none (null) this deployment's is used,
 * but not `inSession`: a session never changes its model. @throws ServiceError where a model does not exist, or is named twice.
 */
export async function modelChoices(
  c: GatewayContext,
  { model, fallback }: { readonly model: string; readonly fallback?: readonly string[] | null | undefined },
  inSession: boolean,
): Promise<readonly ModelChoice[]> {
  const { modelAliases, modelFallbacks } = c.var.settings;
  const entries = await catalog(c.env);
  const first = await modelMeant(c, model);
  const choices = [first];
  const names = fallback ?? (inSession ? [] : modelFallbacks.flatMap(({ from, to }) => (from === first.entry.card.id ? [to] : [])));
  for (const [at, name] of names.entries()) {
    const isOfRequest = fallback !== null && fallback !== undefined;
    if (!isOfRequest && !entries.some(({ card }) => card.id === name))
      throw misconfigured("MODEL_FALLBACKS", `must name models of this deployment (${idsOf(entries)})`, name);
    const field = isOfRequest ? `fallback[${String(at)}]` : "model";
    const { entry, isAlias } = named(entries, modelAliases, name, field);
    if (choices.some((one) => one.entry.card.id === entry.card.id)) {
      if (isOfRequest) throw invalidRequest(`'${field}': must be a model that is not named before it (got "${entry.card.id}").`, field);
      continue;
    }
    choices.push({
      entry,
      asked: model,
      why: [...first.why, "fallback", ...(isAlias && first.why.length === 0 ? (["alias"] as const) : [])],
    });
  }
  return choices;
}

function named(entries: readonly CatalogEntry[], aliases: readonly ModelPair[], name: string, field: string): Named {
  const own = entries.find(({ card }) => card.id === name);
  const alias = aliases.find(({ from }) => from === name);
  if (alias === undefined) {
    if (own !== undefined) return { entry: own, isAlias: false };
    const ids = [...entries.map(({ card }) => card.id), ...aliases.map(({ from }) => from)];
    throw new ServiceError({ ...modelNotFound(name, ids), param: field });
  }
  // Whoever asks for a model by its id gets that one.
  if (own !== undefined) throw misconfigured("MODEL_ALIASES", "must give names that are no model's id", name);
  const meant = entries.find(({ card }) => card.id === alias.to);
  if (meant === undefined) throw misconfigured("MODEL_ALIASES", `must name models of this deployment (${idsOf(entries)})`, alias.to);
  return { entry: meant, isAlias: true };
}

const idsOf = (entries: readonly CatalogEntry[]): string => entries.map(({ card }) => card.id).join(", ");
