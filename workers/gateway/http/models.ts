/** `GET /v1/models` and `GET /v1/models/{id}`. */
import { ServiceError } from "../../contracts/errors.ts";
import { catalog, type CatalogEntry } from "../../models/catalog.ts";
import { statusOf, type PoolAnswer } from "../../models/status.ts";
import { newest } from "../../models/version.ts";
import { askDescriptions, fromPool } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { invalidRequest } from "../failures.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { modelsQuery } from "../schema/models-query.ts";
import { parseBody } from "../schema/parse.ts";
import { modelCard } from "./model-card.ts";
import { readQuery } from "./query.ts";

export async function listModels(c: GatewayContext): Promise<Response> {
  const { limit } = parseBody(modelsQuery, readQuery(c));
  const entries = await catalog(c.env);
  if (limit !== undefined && limit < entries.length)
    throw invalidRequest(`'limit': must be at least ${String(entries.length)}: the list is whole (got ${String(limit)}).`, "limit");
  const pool = await askPool(c, entries);
  return c.json({ object: "list", data: entries.map((entry) => described(c, entry, pool)) });
}

export async function oneModel(c: GatewayContext): Promise<Response> {
  const { entry } = await modelMeant(c, c.req.param("id"));
  return c.json(described(c, entry, await askPool(c, [entry])));
}

/** The list answers also while the pool is away. */
async function askPool(c: GatewayContext, entries: readonly CatalogEntry[]): Promise<PoolAnswer> {
  try {
    const ids = entries.map(({ card }) => card.id);
    const [descriptions, availability] = await Promise.all([askDescriptions(c.env), fromPool(c.env.POOL.availability(ids))]);
    return { descriptions, availability: structuredClone(availability) };
  } catch (cause) {
    if (cause instanceof ServiceError) return { away: cause.failure.message };
    throw cause;
  }
}

function described(c: GatewayContext, entry: CatalogEntry, pool: PoolAnswer): object {
  const { id } = entry.card;
  const aliases = c.var.settings.modelAliases.filter(({ to }) => to === id).map(({ from }) => from);
  const description = "away" in pool ? null : (newest(entry.card, pool.descriptions) ?? null);
  return modelCard(entry.card, { description, status: statusOf(entry, pool), aliases });
}
