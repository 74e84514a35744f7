/** A session's turn as token ids: the first is a prompt as any other, later ones go on where the last one ended. */
import { ServiceError } from "../../contracts/errors.ts";
import type { TranscriptMessage, TurnOrder } from "../../contracts/session.ts";
import { renderChat } from "../../models/render-chat.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { tokensToGenerate } from "../../models/token-budget.ts";
import { conversationTooLong, invalidRequest, sessionTooLarge } from "../failures.ts";
import type { RenderedTurn } from "./contract.ts";
import { mostConversationTokens, mostSessionBytes } from "./limits.ts";

/** What the session holds before the turn. */
export interface Position {
  /** Turns that have ended; 0 where there is nothing, or only a document. */
  readonly turns: number;
  readonly tokens: number;
  /** Of its transcript and tokens as they are stored. */
  readonly bytes: number;
}

/** As the transcript stores them. */
export const messageBytes = (messages: readonly TranscriptMessage[]): number => new TextEncoder().encode(JSON.stringify(messages)).length;

const tokenBytes = Uint32Array.BYTES_PER_ELEMENT;

/** @throws ServiceError where the messages do not fit here, or too few tokens are left. */
export function renderTurn(model: ServedModel, { messages, limits, countsHeld }: TurnOrder, position: Position): RenderedTurn {
  const prompt = promptOf(model, messages, position);
  const held = countsHeld ? position.tokens : 0;
  const maxTokens = tokensToGenerate(prompt.length, { ...limits, contextLength: limits.contextLength - held });
  const added = prompt.length + maxTokens;
  if (position.tokens + added > mostConversationTokens)
    throw new ServiceError(conversationTooLong(position.tokens, added, mostConversationTokens));
  // Of the answer's text no more is known than that most tokens are as long as their numbers.
  const addedBytes = messageBytes(messages) + tokenBytes * (added + maxTokens);
  if (position.bytes + addedBytes > mostSessionBytes) throw new ServiceError(sessionTooLarge(position.bytes, mostSessionBytes, addedBytes));
  return { prompt, maxTokens };
}

function promptOf(model: ServedModel, messages: readonly TranscriptMessage[], { turns, tokens }: Position): Uint32Array {
  const last = messages.at(-1)?.role;
  if (last !== "user")
    throw refusal(`'messages': a turn of a session ends with the user's message; the last one is '${last ?? "none"}'.`, "messages");
  if (tokens === 0) return renderChat(model, messages);
  if (model.chatTemplate === null) throw refusal(`The model '${model.card.id}' has no chat template.`, "session_id");
  if (messages.some(({ role }) => role === "assistant"))
    throw refusal("'messages': only what is new is sent to a session; its answers it has.", "messages");
  return model.chatTemplate.renderContinuation(turns === 0 ? "system" : "assistant", messages);
}

const refusal = (message: string, param: string) => new ServiceError(invalidRequest(message, param));
