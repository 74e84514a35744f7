/** What has to hold of an order to store a state, and of the state's header. */
import { ServiceError } from "../../contracts/errors.ts";
import { invalidRequest } from "../failures.ts";
import { snapshotInvalid } from "../../state-file/failures.ts";
import { digestBytes } from "./index/chain.ts";
import { pageTokens } from "../../state-file/page.ts";
import type { PutOrder } from "./contract.ts";
import type { StateHeader } from "../../state-file/header.ts";

/** @throws ServiceError that names field, rule and value. */
export function checkOrder({ tokens, parent, fromPage, chain }: PutOrder): void {
  const require = (param: string, holds: boolean, rule: string, value: unknown) => {
    if (!holds) throw new ServiceError(invalidRequest(`${param}: it must be ${rule}; it is ${String(value)}`, param));
  };
  require("tokens", Number.isSafeInteger(tokens) && tokens > 0, "an integer above 0", tokens);
  const mostPages = parent === null ? 0 : Math.floor(tokens / pageTokens);
  require("fromPage", Number.isSafeInteger(fromPage) &&
    fromPage >= 0 &&
    fromPage <= mostPages, `an integer from 0 to ${String(mostPages)}`, fromPage);
  if (chain === null) return;
  require("chain.tokens", chain.tokens === tokens, String(tokens), chain.tokens);
  const length = digestBytes * Math.floor(tokens / pageTokens);
  require("chain.pages", chain.pages.length === length, `${String(length)} bytes`, chain.pages.length);
}

/** @throws ServiceError that names field, rule and value. */
export function checkHeader({ identity, tokens }: PutOrder, { model, tokenizer, position, learnedSinks }: StateHeader): void {
  for (const [what, actual, wanted] of [
    ["model", model, identity.model],
    ["tokenizer", tokenizer, identity.tokenizer],
    ["number of tokens", position - learnedSinks, tokens],
  ] as const)
    if (actual !== wanted)
      throw new ServiceError(snapshotInvalid(`state file: its ${what} must be ${String(wanted)}; it is ${String(actual)}`));
}
