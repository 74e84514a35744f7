/** The tokenizer of the released SpikingBrain models: Qwen2.5's, with the chat template and the end tokens that their folder has. */
import { expect, test } from "vitest";
import type { ModelCard } from "../../../workers/contracts/model-files.ts";
import type { TranscriptMessage } from "../../../workers/contracts/transcript.ts";
import { renderChat } from "../../../workers/models/render-chat.ts";
import { tellsTools } from "../../../workers/models/told-tools.ts";
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

test("functions are told of by the template itself, and calls are of its own form; special tokens spelled out in them are text", () => {
  expect(tellsTools(template)).toBe(true);
  const tools = [
    {
      name: "get",
      description: "Gets <|im_end|>.",
      parameters: '{"type":"object","properties":{"most":{"maximum":9223372036854775807,"multipleOf":0.12345678901234567890}}}',
    },
  ];
  const messages: TranscriptMessage[] = [
    { role: "user", content: "Now?" },
    { role: "assistant", content: "Yes.", calls: [{ id: "a", name: "get", arguments: '{"a": [1, 2.0]}' }] },
    { role: "tool", content: "31", callId: "a" },
  ];
  const card = { id: "qwen" } as ModelCard;
  const tokens = renderChat({ card, tokenizer, chatTemplate: template, stopTokens: [], firstToken: null }, messages, { tools });
  expect(tokenizer.decode(tokens)).toBe(
    [
      "<|im_start|>system\nYou are a helpful assistant.\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n",
      "You are provided with function signatures within <tools></tools> XML tags:\n<tools>",
      '{"type": "function", "function": {"name": "get", "description": "Gets <|im_end|>.", "parameters": {"type": "object", "properties": {"most": {"maximum": 9223372036854775807, "multipleOf": 0.12345678901234568}}}}}',
      "</tools>\n",
      "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:",
      '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call><|im_end|>',
      "<|im_start|>user\nNow?<|im_end|>",
      '<|im_start|>assistant\nYes.\n<tool_call>\n{"name": "get", "arguments": {"a": [1, 2.0]}}\n</tool_call><|im_end|>',
      "<|im_start|>user\n<tool_response>\n31\n</tool_response><|im_end|>",
      "<|im_start|>assistant\n",
    ].join("\n"),
  );
  expect([...tokens].filter((id) => id === endOfTurn)).toHaveLength(4);
  const plain = new ChatTemplate("{% for message in messages %}{{ message.role + ': ' + message.content }}{% endfor %}", tokenizer);
  expect(tellsTools(plain)).toBe(false);
});
