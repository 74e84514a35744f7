/** `GET /v1/streams/{id}`: an answer's stream again, after `Last-Event-ID`. `DELETE`: ends the answer here. */
import { modelOfVersion } from "../../models/served-model.ts";
import { fromSession } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { invalidRequest } from "../failures.ts";
import { deliverEvents } from "../stream/deliver.ts";
import { readRecipe } from "../stream/recipe.ts";
import { lastNumber } from "../stream/stream-id.ts";

export async function resumeStream(c: GatewayContext): Promise<Response> {
  const id = c.req.param("id") ?? "";
  // From the first entry: usage is counted over all of them, those that the client has included.
  const open = await fromSession(c.env.SESSION.attach(c.var.tenant, id, 0));
  try {
    const header = c.req.header("last-event-id");
    if (readRecipe(open.recipe).endpoint === "response" && header !== undefined && header !== "") throw positionless(header);
    const after = lastNumber(id, header, open.reach);
    const { tokenizer } = await modelOfVersion(c.env, open.model);
    return deliverEvents(c, open, tokenizer, after === 0 ? null : after);
  } catch (cause) {
    await open.entries.cancel(cause);
    throw cause;
  }
}

const positionless = (header: string) =>
  invalidRequest(
    `'Last-Event-ID': must be left out, for the events of a response have no ids: 'starting_after' of GET /v1/responses/ID says where to go on (got ${JSON.stringify(header.slice(0, 100).toWellFormed())}).`,
    "Last-Event-ID",
  );

export async function stopStream(c: GatewayContext): Promise<Response> {
  await fromSession(c.env.SESSION.stop(c.var.tenant, c.req.param("id") ?? ""));
  return c.body(null, 204);
}
