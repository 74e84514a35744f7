/** The series of tokens by which a text is written, in the middle of a line and after a space, as vLLM has it for its `bad_words`. */
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

export function bannedSeries(words: readonly string[], tokenizer: Pick<Tokenizer, "encode">): number[][] {
  return words.flatMap((word) => {
    const alone = [...tokenizer.encode(word.trimStart())];
    const spaced = [...tokenizer.encode(` ${word.trimStart()}`)];
    return spaced[0] !== alone[0] && spaced.length === alone.length ? [alone, spaced] : [alone];
  });
}
