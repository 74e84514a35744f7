import { tinyTokenizer } from "./tiny-tokenizer.ts";

/**
 * A `logit_bias` that leaves the toy only letters that no merge of the tokenizer joins, so that an answer's text has one tokenization: what it
 * sampled. Without it a client that sends text back would, rightly, be read anew.
 */
export const plainLetters: Readonly<Record<string, number>> = Object.fromEntries(
  tinyTokenizer.tokens.flatMap((token, id) => (/^[abcfgijkmnpqstuvxyz]$/.test(token) ? [] : [[String(id), -100]])),
);
