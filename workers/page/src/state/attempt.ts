import { failureOf, type Failure } from "../api/failure.ts";
import type { Store } from "./store.ts";
import type { Notice } from "./types.ts";

/** Longest that a request beside the conversation may take. */
const requestMs = 30_000;

export const soon = (): AbortSignal => AbortSignal.timeout(requestMs);

/** Does something that can fail, and gives the failure; null where it did not. */
export async function attempt(act: () => Promise<unknown>): Promise<Failure | null> {
  try {
    await act();
    return null;
  } catch (error) {
    const failure = failureOf(error);
    if (failure !== undefined) return failure;
    // Given up after too long, which is as good as never having arrived; anything else is a bug of the page's own.
    if (error instanceof DOMException) return { kind: "network" };
    throw error;
  }
}

/** The same for what is not asked for in a place that could show the failure. */
export async function noticed(store: Store, what: Notice["what"], act: () => Promise<unknown>): Promise<void> {
  const failure = await attempt(act);
  if (failure !== null) store.dispatch({ type: "notice-changed", notice: { what, failure } });
}
