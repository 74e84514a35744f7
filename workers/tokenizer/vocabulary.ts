/** What a tokenizer is made of, whichever file it came from. */
import type { OtherSpecialToken } from "../contracts/model-files.ts";
import type { AddedToken } from "./added-tokens.ts";
import type { Family } from "./pre-tokenizer.ts";

export interface Vocabulary {
  readonly family: Family;
  /** By id, in the byte alphabet; undefined where a file leaves an id out. */
  readonly tokens: readonly (string | undefined)[];
  /** In rank order, each two tokens with a space between, which the byte alphabet lacks. */
  readonly merges: readonly string[];
  /** A word that is a token as a whole is taken as it is, merged or not. */
  readonly ignoreMerges: boolean;
  /** Found in the text as it comes, before normalization. */
  readonly addedTokens: readonly AddedToken[];
  /** Found in the normalized text. */
  readonly normalizedAddedTokens: readonly AddedToken[];
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly addBosToken: boolean;
  /** Texts of the special tokens beside those two, by the names that chat templates know them by. */
  readonly otherTokens: Readonly<Partial<Record<OtherSpecialToken, string>>>;
}
