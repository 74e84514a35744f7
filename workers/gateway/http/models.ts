/** `GET /v1/models` and `GET /v1/models/{id}`. */
import { availableDescription } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { modelCards, modelNamed, type ServedModel } from "../../models/served-model.ts";
import { modelCard } from "./model-card.ts";

export async function listModels(c: GatewayContext): Promise<Response> {
  const cards = await modelCards(c.env);
  return c.json({ object: "list", data: await Promise.all(cards.map((card) => describedCard(c, card))) });
}

export async function oneModel(c: GatewayContext): Promise<Response> {
  const { card } = await modelNamed(c.env, c.req.param("id"));
  return c.json(await describedCard(c, card));
}

async function describedCard(c: GatewayContext, card: ServedModel["card"]): Promise<object> {
  const version = { id: card.id, digest: card.sha256, tokenizerDigest: card.tokenizerSha256 };
  return modelCard(card, await availableDescription(c.env, version));
}
