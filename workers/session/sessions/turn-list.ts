/** As many turns as go from one Worker to another in one call, which has room for 32 MiB. */
import type { Turn, TurnList } from "../../contracts/session.ts";

/** UTF-16 units, beyond which a list page begins no further turn; the longest turn has about twice as many. */
const listCharacters = 4 << 20;

export function turnList(turns: Iterable<Turn>, limit: number): TurnList {
  const list: Turn[] = [];
  let characters = 0;
  for (const { number, stream, messages, tokens, finish, created } of turns) {
    const length = messages.reduce(
      (sum, { content, calls = [] }) => calls.reduce((some, call) => some + call.arguments.length, sum + content.length),
      0,
    );
    if (list.length === limit || (list.length > 0 && characters + length > listCharacters)) return { turns: list, hasMore: true };
    list.push({ number, stream, messages, tokens, finish, created });
    characters += length;
  }
  return { turns: list, hasMore: false };
}
