/** A response that is asked for later: from its turn, once it is written down; from its stream before, and where it left no turn. */
import { AnswerFailed, decodeEntries } from "../../contracts/entry-stream.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { OpenStream, StoredResponse } from "../../contracts/session.ts";
import { modelOfVersion } from "../../models/served-model.ts";
import { fromSession } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { responseNotFound } from "../failures.ts";
import { wholeAnswer } from "../stream/answer.ts";
import { recipeOf } from "../stream/deliver.ts";
import { itemsOf, type Item } from "../stream/formats/response-items.ts";
import { begun, endOf, responseObject, type ResponseSettings, type ResponseStanding } from "../stream/formats/response-object.ts";
import { formatOf, type AnswerRecipe } from "../stream/recipe.ts";
import { UsageCounter } from "../stream/usage.ts";
import { responsePlace } from "./response-id.ts";

/** Its object as it is now. @throws ServiceError `response_not_found`. */
export async function findResponse(c: GatewayContext, tenant: TenantId, id: string): Promise<object> {
  const { session, stream } = responsePlace(id);
  const stored = await fromSession(c.env.SESSION.response(tenant, session, stream));
  if (stored !== null) {
    const { header, response } = settingsOf(recipeOf({ recipe: stored.recipe, session, stream }));
    return responseObject(header, response, standingOf(id, stored));
  }
  const open = await attached(c, tenant, id, stream);
  if (open.ended) return await endedWithoutTurn(c, open);
  await open.entries.cancel("it has not ended").catch(() => undefined);
  const { header, response } = settingsOf(recipeOf(open));
  return responseObject(header, response, begun);
}

/** What its request added to the conversation. @throws ServiceError `response_not_found`. */
export async function requestItems(c: GatewayContext, tenant: TenantId, id: string): Promise<Item[]> {
  const { session, stream } = responsePlace(id);
  const stored = await fromSession(c.env.SESSION.response(tenant, session, stream));
  if (stored !== null) return itemsOf({ of: id, turn: stored.turn.number, side: "input" }, stored.turn.messages.slice(0, -1));
  const { turn = 0, entries } = await attached(c, tenant, id, stream);
  await entries.cancel("its items are asked for").catch(() => undefined);
  return itemsOf({ of: id, turn, side: "input" }, await fromSession(c.env.SESSION.asked(tenant, stream)));
}

/** Ends the answer where it runs, and waits for that. */
export async function endStream(c: GatewayContext, tenant: TenantId, stream: string): Promise<void> {
  const open = await fromSession(c.env.SESSION.attach(tenant, stream, 0)).catch(unlessGone);
  // Its time is over, so that it has ended long ago.
  if (open === null) return;
  await fromSession(c.env.SESSION.stop(tenant, stream));
  try {
    for await (const entries of decodeEntries(open.entries, undefined, open.known)) if (entries.at(-1)?.event.type === "done") return;
  } catch (cause) {
    if (!(cause instanceof AnswerFailed)) throw cause;
  }
}

function standingOf(id: string, { turn, usage, failure }: StoredResponse): ResponseStanding {
  const { finish, created, messages } = turn;
  const end =
    finish === "failed"
      ? ({ status: "failed", failure: failure ?? { status: 500, code: "internal_error", message: "The answer broke off." } } as const)
      : finish === "cancelled"
        ? ({ status: "cancelled" } as const)
        : endOf(finish);
  const output = itemsOf(
    { of: id, turn: turn.number, side: "output" },
    messages.slice(-1),
    end.status === "completed" ? "completed" : "incomplete",
  );
  return { ...end, output, usage, completed: created };
}

/** One that brought nothing leaves nothing in its session. */
async function endedWithoutTurn(c: GatewayContext, open: OpenStream): Promise<object> {
  const recipe = recipeOf(open);
  const { header, response } = settingsOf(recipe);
  const { tokenizer } = await modelOfVersion(c.env, open.model);
  const usage = new UsageCounter(recipe);
  const nothing = () => undefined;
  try {
    return await wholeAnswer(
      decodeEntries(open.entries, undefined, open.known),
      recipe,
      formatOf(recipe, tokenizer),
      usage,
      nothing,
      nothing,
    );
  } catch (cause) {
    if (!(cause instanceof AnswerFailed)) throw cause;
    return responseObject(header, response, { ...begun, status: "failed", failure: cause.failure });
  }
}

async function attached(c: GatewayContext, tenant: TenantId, id: string, stream: string): Promise<OpenStream> {
  const open = await fromSession(c.env.SESSION.attach(tenant, stream, 0)).catch(unlessGone);
  if (open === null) throw responseNotFound(id);
  return open;
}

function unlessGone(cause: unknown): null {
  if (cause instanceof ServiceError && cause.failure.code === "stream_not_found") return null;
  throw cause;
}

function settingsOf({ header, response }: AnswerRecipe): { readonly header: AnswerRecipe["header"]; readonly response: ResponseSettings } {
  if (response === undefined) throw new Error("the recipe of a response has its settings");
  return { header, response };
}
