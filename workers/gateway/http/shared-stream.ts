/** A shared session as one JSON object; its turns are asked for in list pages as the client reads, so that none is too long for a Worker. */
import type { SharedSession } from "../../contracts/session.ts";
import { sharedJson, turnJson } from "./session-json.ts";

/** Turns that do not come break the connection within the object, which no client takes for a whole one. */
export function sharedStream(first: SharedSession, turnsAfter: (turn: number) => Promise<SharedSession>): ReadableStream<Uint8Array> {
  const parts = sharedParts(first, turnsAfter);
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      async pull(controller) {
        const part = await parts.next();
        if (part.done) controller.close();
        else controller.enqueue(encoder.encode(part.value));
      },
      async cancel() {
        await parts.return();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* sharedParts(
  first: SharedSession,
  turnsAfter: (turn: number) => Promise<SharedSession>,
): AsyncGenerator<string, void, undefined> {
  yield `${JSON.stringify(sharedJson(first)).slice(0, -1)},"turns":[`;
  for (let some = first, separator = ""; ; some = await turnsAfter(some.turns.at(-1)?.number ?? -1), separator = ",") {
    yield separator + some.turns.map((turn) => JSON.stringify(turnJson(turn))).join(",");
    if (!some.hasMore) break;
  }
  yield "]}";
}
