/** List pages of items, as OpenAI's lists of them are: the last first, unless the order is said. */
import { invalidRequest } from "../failures.ts";
import type { ItemsQuery } from "../schema/response-query.ts";

const defaultItems = 20;

interface Named {
  readonly id: string;
}

/** @throws ServiceError where `after` is none of them. */
export function listPage(items: readonly Named[], { limit = defaultItems, order = "desc", after }: ItemsQuery): object {
  const ordered = order === "asc" ? items : items.toReversed();
  const start = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) throw invalidRequest("'after': there is no such item to go on from.", "after");
  return partOf(ordered, start, limit);
}

/** So many from the one at this place on. */
export function partOf(ordered: readonly Named[], start: number, limit: number): object {
  const data = ordered.slice(start, start + limit);
  return {
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: start + limit < ordered.length,
  };
}
