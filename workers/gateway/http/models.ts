/** `GET /v1/models` and `GET /v1/models/{id}`. */
import { availableDescription } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { servedModel } from "../../models/served-model.ts";
import { requireModel } from "../model.ts";
import { modelCard } from "./model-card.ts";

export async function listModels(c: GatewayContext): Promise<Response> {
  const { card } = await servedModel(c.env);
  return c.json({ object: "list", data: [modelCard(card, await availableDescription(c.env))] });
}

export async function oneModel(c: GatewayContext): Promise<Response> {
  const { card } = await requireModel(c.env, c.req.param("id"));
  return c.json(modelCard(card, await availableDescription(c.env)));
}
