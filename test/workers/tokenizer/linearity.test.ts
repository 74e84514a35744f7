/** Ten times the text takes about ten times the time, however much of it is one word. */
import { cpuUsage } from "node:process";
import { expect, test } from "vitest";
import { ChatTemplate } from "../../../workers/tokenizer/chat-template.ts";
import { normalizeFormC } from "../../../workers/tokenizer/normalization-form-c.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { servedTokenizerFile } from "./served-tokenizer.ts";

const million = 1_000_000;
/** Ten, and room for caches that no longer hold everything; quadratic work would be a hundred. */
const largestRatio = 30;
const timeout = 120_000;

const tokenizer = Tokenizer.fromTokenizerFile(servedTokenizerFile());

/** CPU time of this process, which other work on the machine does not lengthen. */
function cost(work: () => unknown): number {
  const before = cpuUsage();
  work();
  const { user, system } = cpuUsage(before);
  return user + system;
}

function expectProportional(unit: string, work: (text: string) => unknown): void {
  const [small, large] = [unit.repeat(million / unit.length), unit.repeat((10 * million) / unit.length)];
  work(small);
  const smallCost = Math.min(...[1, 2, 3].map(() => cost(() => work(small))));
  expect(cost(() => work(large)) / smallCost).toBeLessThan(largestRatio);
}

test.each([
  ["one letter", "a"],
  ["spaces", " "],
  ["digits", "7"],
  ["a pair of letters", "ab"],
  ["line feeds", "\n"],
  ["spaces and line feeds", " \n"],
  ["beginnings of special tokens", "<|im_"],
  ["special tokens", "<|im_start|>"],
  ["letters that never merge", "\u{10ffff}"],
  ["words", "a quick test of 10 things. "],
])(
  "%s",
  (_, unit) => {
    expectProportional(unit, (text) => tokenizer.encode(text));
  },
  timeout,
);

test(
  "combining marks out of order",
  () => {
    expectProportional("\u0301\u0316", normalizeFormC);
  },
  timeout,
);

test(
  "special tokens in a chat message",
  () => {
    const template = new ChatTemplate("{{ messages[0].content }}", tokenizer);
    expectProportional("<|im_start|>", (content) => template.renderToTokens([{ role: "user", content }]));
  },
  timeout,
);
