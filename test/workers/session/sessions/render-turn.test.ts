/** How long a turn may be, whatever its session holds. */
import { expect, test } from "vitest";
import { ServiceError, type ServiceFailure } from "../../../../workers/contracts/errors.ts";
import type { TranscriptMessage } from "../../../../workers/contracts/transcript.ts";
import type { TokenLimits } from "../../../../workers/contracts/session.ts";
import type { ServedModel } from "../../../../workers/models/served-model.ts";
import { mostConversationTokens } from "../../../../workers/session-file/limits.ts";
import { mostSessionBytes } from "../../../../workers/session/sessions/limits.ts";
import { renderTurn, type Position } from "../../../../workers/session/sessions/render-turn.ts";
import { ChatTemplate } from "../../../../workers/tokenizer/chat-template.ts";
import { Tokenizer } from "../../../../workers/tokenizer/tokenizer.ts";
import { tinyManifest, tinyTokenizer } from "../../support/tiny-tokenizer.ts";

const tokenizer = Tokenizer.fromTokenizerFile(tinyTokenizer);
const chatTemplate = new ChatTemplate(tinyTokenizer.chatTemplate ?? "", tokenizer);
const model: ServedModel = {
  card: tinyManifest,
  tokenizer,
  chatTemplate,
  stopTokens: [],
  firstToken: null,
};
const messages: TranscriptMessage[] = [{ role: "user", content: "Why?" }];
const limits: TokenLimits = { promptField: "messages", maxTokens: null, defaultMaxTokens: 2048, minTokens: 0, contextLength: 512 };
const empty: Position = { turns: 0, tokens: 0, bytes: 0 };
const afterDocument: Position = { turns: 0, tokens: 300, bytes: 1_200 };
const afterAnswer: Position = { turns: 2, tokens: 300, bytes: 2_000 };

const turn = (changes: Partial<TokenLimits>, countsHeld = false) => ({
  ...{ session: "s", messages, countsHeld },
  limits: { ...limits, ...changes },
});

test.each<[string, Position, Uint32Array]>([
  ["first", empty, chatTemplate.renderToTokens(messages, { addGenerationPrompt: true })],
  ["after a document", afterDocument, chatTemplate.renderContinuation("system", messages)],
  ["after an answer", afterAnswer, chatTemplate.renderContinuation("assistant", messages)],
])("%s: what it reads, and as many tokens as are left", (_name, position, prompt) => {
  expect(renderTurn(model, turn({}), position)).toEqual({ prompt, maxTokens: 512 - prompt.length });
  expect(renderTurn(model, turn({ defaultMaxTokens: 16 }), position)).toEqual({ prompt, maxTokens: 16 });
  expect(renderTurn(model, turn({ maxTokens: 7 }), position)).toEqual({ prompt, maxTokens: 7 });
  const left = 512 - position.tokens - prompt.length;
  expect(renderTurn(model, turn({}, true), position)).toEqual({ prompt, maxTokens: left });
});

function refusalOf(changes: Partial<TokenLimits>, position: Position, countsHeld = false): ServiceFailure {
  try {
    renderTurn(model, turn(changes, countsHeld), position);
  } catch (cause) {
    if (cause instanceof ServiceError) return cause.failure;
    throw cause;
  }
  throw new Error("nothing was refused");
}

test("refusals name the bound and the value, with what the session holds where that counts", () => {
  const length = chatTemplate.renderContinuation("assistant", messages).length;
  const tooLong = { code: "context_length_exceeded", status: 400, param: "messages" };
  expect(refusalOf({ maxTokens: 513 - length }, afterAnswer)).toMatchObject({
    ...tooLong,
    message: `A request may have 512 tokens, prompt and answer together. 513 were asked for: ${String(length)} in the prompt and ${String(513 - length)} to generate.`,
  });
  expect(refusalOf({}, { turns: 2, tokens: 510, bytes: 2_000 }, true)).toMatchObject({
    ...tooLong,
    message: `A request may have 2 tokens, prompt and answer together. The prompt has ${String(length)} tokens, which leaves none to generate.`,
  });
  expect(refusalOf({ maxTokens: 5, minTokens: 6 }, afterAnswer)).toMatchObject({
    ...{ code: "invalid_request", param: "min_tokens" },
    message: "'min_tokens': 6 is more than the 5 tokens allowed.",
  });
  const most = mostConversationTokens;
  const nearTheEnd = { turns: 9, tokens: most - length - 4, bytes: 0 };
  expect(renderTurn(model, turn({ maxTokens: 4 }), nearTheEnd).maxTokens).toBe(4);
  expect(refusalOf({ maxTokens: 5 }, nearTheEnd)).toMatchObject({
    ...{ code: "context_length_exceeded", param: "session_id" },
    message: `A session may have ${String(most)} tokens; it has ${String(nearTheEnd.tokens)}, and the turn may add ${String(length + 5)}.`,
  });
});

test("a session holds no more than goes from one object to another in one call", () => {
  const length = chatTemplate.renderContinuation("assistant", messages).length;
  // The message, four bytes for each token, and as many for what the answer's tokens say.
  const added = JSON.stringify(messages).length + 4 * (length + 5 + 5);
  const full = { turns: 9, tokens: 300, bytes: mostSessionBytes - added };
  expect(renderTurn(model, turn({ maxTokens: 5 }), full).maxTokens).toBe(5);
  expect(refusalOf({ maxTokens: 5 }, { ...full, bytes: full.bytes + 1 })).toMatchObject({
    ...{ code: "context_length_exceeded", status: 400, param: "session_id" },
    message: `'session_id': a session may hold ${String(mostSessionBytes)} bytes of transcript and tokens; it holds ${String(full.bytes + 1)}, and the turn may add ${String(added)}.`,
  });
});

test("a model without a chat template takes no turns", () => {
  const plain = { ...model, chatTemplate: null };
  const refused = (position: Position) => () => renderTurn(plain, turn({}), position);
  expect(refused(empty)).toThrow("The model 'tiny' has no chat template: use /v1/completions.");
  expect(refused(afterAnswer)).toThrow("The model 'tiny' has no chat template.");
});
