/** `GET /v1/models` and `GET /v1/models/{id}`. */
import { contextLimit } from "../context-limit.ts";
import type { GatewayContext } from "../environment.ts";
import { requireModel, servedModel, type ServedModel } from "../model.ts";

export async function listModels(c: GatewayContext): Promise<Response> {
  return c.json({ object: "list", data: [await card(c, await servedModel(c.env))] });
}

export async function oneModel(c: GatewayContext): Promise<Response> {
  return c.json(await card(c, await requireModel(c.env, c.req.param("id"))));
}

/** OpenAI's fields, and the context length under vLLM's name for it. */
async function card(c: GatewayContext, model: ServedModel): Promise<object> {
  const { id, created, ownedBy } = model.card;
  return { id, object: "model", created, owned_by: ownedBy, max_model_len: await contextLimit(c.env, model) };
}
