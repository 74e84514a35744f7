/** What a request forbids the toy to choose: stop tokens too early, tokens that are not allowed, banned series, what leads out of a constraint. */
import type { Constraint } from "../../../workers/contracts/constraint.ts";
import type { OpenedRequest } from "../../../workers/contracts/request/open-state.ts";
import { bytesAsTokens } from "./tiny-tokenizer.ts";

type Rules = Pick<OpenedRequest, "allowedTokens" | "bannedSeries" | "constraint" | "minTokens" | "stopTokens">;

/** After an answer of these tokens; undefined where it is whole and nothing may follow. */
export function forbiddenAfter(
  answer: readonly number[],
  { minTokens, stopTokens, allowedTokens, bannedSeries = [], constraint }: Rules,
  vocabularySize: number,
): ReadonlySet<number> | undefined {
  const forbidden = new Set(answer.length < minTokens ? stopTokens : []);
  const keepOnly = (allowed: ReadonlySet<number>): void => {
    for (let id = 0; id < vocabularySize; id += 1) if (!allowed.has(id)) forbidden.add(id);
  };
  for (const series of bannedSeries) {
    const before = series.slice(0, -1);
    const isBegun = before.length <= answer.length && before.every((id, at) => answer[answer.length - before.length + at] === id);
    if (isBegun) forbidden.add(series.at(-1) ?? 0);
  }
  if (allowedTokens !== undefined) keepOnly(new Set(allowedTokens));
  if (constraint === undefined) return forbidden;
  const { allowed, mayEnd } = nextIn(constraint, answer);
  if (allowed.size === 0) return undefined;
  keepOnly(mayEnd ? new Set([...allowed, ...stopTokens]) : allowed);
  return forbidden;
}

/** Of a `choice`, the one kind that the toy holds to: each text as one token a byte. */
function nextIn(
  { kind, text }: Constraint,
  answer: readonly number[],
): { readonly allowed: ReadonlySet<number>; readonly mayEnd: boolean } {
  if (kind !== "choice") throw new Error(`the toy holds to no ${kind}`);
  const texts = (JSON.parse(text) as string[]).map(bytesAsTokens).filter((ids) => answer.every((id, at) => ids[at] === id));
  return {
    allowed: new Set(texts.flatMap((ids) => ids[answer.length] ?? [])),
    mayEnd: texts.some(({ length }) => length === answer.length),
  };
}
