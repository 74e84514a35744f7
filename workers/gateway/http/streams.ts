/** `GET /v1/streams/{id}`: an answer's stream again, after `Last-Event-ID`. `DELETE`: ends the answer here. */
import { modelOfVersion } from "../../models/served-model.ts";
import { fromSession } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { deliverEvents } from "../stream/deliver.ts";
import { lastNumber } from "../stream/stream-id.ts";

export async function resumeStream(c: GatewayContext): Promise<Response> {
  const id = c.req.param("id") ?? "";
  // From the first entry: usage is counted over all of them, those that the client has included.
  const open = await fromSession(c.env.SESSION.attach(c.var.tenant, id, 0));
  try {
    const after = lastNumber(id, c.req.header("last-event-id"), open.reach);
    const { tokenizer } = await modelOfVersion(c.env, open.model);
    return deliverEvents(c, open, tokenizer, after);
  } catch (cause) {
    await open.entries.cancel(cause);
    throw cause;
  }
}

export async function stopStream(c: GatewayContext): Promise<Response> {
  await fromSession(c.env.SESSION.stop(c.var.tenant, c.req.param("id") ?? ""));
  return c.body(null, 204);
}
