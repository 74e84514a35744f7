/** `GET /health`: this Worker runs. `GET /ready`: the model has produced a token. */
import { ServiceError } from "../../contracts/errors.ts";
import { modelNamed } from "../../models/served-model.ts";
import { chooseBackend, describeModel, fromEngine } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";

export function health(c: GatewayContext): Response {
  return c.json({ status: "ok" });
}

export async function ready(c: GatewayContext): Promise<Response> {
  const backend = chooseBackend(c.env);
  try {
    await fromEngine(backend.ready());
    const { id, kernel } = await describeModel(c.env, (await modelNamed(c.env)).version);
    return c.json({ status: "ready", model: id, kernel });
  } catch (cause) {
    if (!(cause instanceof ServiceError)) throw cause;
    // Whatever keeps the engine from answering, a probe reads it as "not now".
    throw new ServiceError({ ...cause.failure, status: 503 }, { cause });
  }
}
