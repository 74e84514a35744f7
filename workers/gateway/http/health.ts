/** `GET /health`: this Worker runs. `GET /ready`: the model has produced a token. */
import { ServiceError } from "../../contracts/errors.ts";
import { entryNamed } from "../../models/catalog.ts";
import { describeModel, fromPool } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";

export function health(c: GatewayContext): Response {
  return c.json({ status: "ok" });
}

export async function ready(c: GatewayContext): Promise<Response> {
  try {
    const { card } = await entryNamed(c.env);
    await fromPool(c.env.POOL.ready(card.id));
    const { id, kernel } = await describeModel(c.env, card);
    return c.json({ status: "ready", model: id, kernel });
  } catch (cause) {
    if (!(cause instanceof ServiceError)) throw cause;
    // Whatever keeps a backend from answering, a probe reads it as "not now".
    throw new ServiceError({ ...cause.failure, status: 503 }, { cause });
  }
}
