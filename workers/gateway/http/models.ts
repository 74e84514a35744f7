/** `GET /v1/models` and `GET /v1/models/{id}`. */
import { availableDescription } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import type { ModelCard } from "../../contracts/model-files.ts";
import { catalog, entryNamed } from "../../models/catalog.ts";
import { modelCard } from "./model-card.ts";

export async function listModels(c: GatewayContext): Promise<Response> {
  const entries = await catalog(c.env);
  return c.json({ object: "list", data: await Promise.all(entries.map(({ card }) => describedCard(c, card))) });
}

export async function oneModel(c: GatewayContext): Promise<Response> {
  const { card } = await entryNamed(c.env, c.req.param("id"));
  return c.json(await describedCard(c, card));
}

async function describedCard(c: GatewayContext, card: ModelCard): Promise<object> {
  return modelCard(card, await availableDescription(c.env, card));
}
