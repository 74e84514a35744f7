/** Several models' tokenizers have room in one isolate of 128 MB (`tokenizersAtHand` in `workers/models/served-model.ts`). */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { ChatTemplate } from "../../../workers/tokenizer/chat-template.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { preparedTokenizerFile, servedTokenizerFile } from "./served-tokenizer.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Of all that is reachable. */
function heldBytes(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test.each([
  { name: "the built-in model's, 49,152 tokens", file: servedTokenizerFile, most: 6e6 },
  { name: "qwen2.5's, 152,064 tokens", file: () => preparedTokenizerFile("qwen2.5"), most: 18e6 },
])("$name", ({ file, most }) => {
  const make = () => {
    const made = Tokenizer.fromTokenizerFile(file());
    return { made, template: new ChatTemplate(file().chatTemplate ?? "", made) };
  };
  // Code and caches that belong to no tokenizer.
  make().made.encode("a text");
  const before = heldBytes();
  const kept = make();
  const held = heldBytes() - before;
  expect(kept.made.encode("a text").length).toBeGreaterThan(0);
  expect(held).toBeLessThan(most);
  expect(held).toBeGreaterThan(most / 10);
});
