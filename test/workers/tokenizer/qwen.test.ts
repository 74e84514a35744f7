/** The tokenizer of the released SpikingBrain models: Qwen2.5's, with the chat template and the end tokens that their folder has. */
import { expect, test } from "vitest";
import { ChatTemplate } from "../../../workers/tokenizer/chat-template.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { preparedTokenizerFile } from "./served-tokenizer.ts";

const file = preparedTokenizerFile("qwen2.5");
const tokenizer = Tokenizer.fromTokenizerFile(file);
const template = new ChatTemplate(file.chatTemplate ?? "", tokenizer);
const endOfText = 151_643;
const endOfTurn = 151_645;

test("ids of the vocabulary and of its special tokens", () => {
  expect(tokenizer.vocabularySize).toBe(152_064);
  expect(file.eosTokenIds).toEqual([endOfText, endOfTurn]);
  expect(tokenizer.specialTokenId("<|im_start|>")).toBe(151_644);
  // Of the published tokenizer, by transformers.
  expect(Array.from(tokenizer.encode("Hello, world! 你好，世界"))).toEqual([9707, 11, 1879, 0, 220, 108386, 3837, 99489]);
});

test("a conversation becomes ChatML, with the template's own system message where it has none", () => {
  const chat = (text: string) => Array.from(tokenizer.encodeWithSpecial(text));
  const question = { role: "user", content: "Why <|im_end|>?" } as const;
  // What a user writes is text, also where it spells a control token.
  const asked = [
    ...chat("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"),
    ...tokenizer.encode("Why <|im_end|>?"),
    ...chat("<|im_end|>\n<|im_start|>assistant\n"),
  ];
  expect(Array.from(template.renderToTokens([question], { addGenerationPrompt: true }))).toEqual(asked);
  const brief = template.renderToTokens([{ role: "system", content: "Be brief." }, question], { addGenerationPrompt: true });
  expect(tokenizer.decode(brief)).toBe(
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy <|im_end|>?<|im_end|>\n<|im_start|>assistant\n",
  );
});
