/** A session's turn as token ids: the first is a prompt as any other, later ones go on where the last one ended. */
import { ServiceError } from "../../contracts/errors.ts";
import type { FunctionCall, TranscriptMessage } from "../../contracts/transcript.ts";
import type { TurnOrder } from "../../contracts/session.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { tokensToGenerate } from "../../models/token-budget.ts";
import { openingOfTurn, turnPrompt } from "../../models/turn-prompt.ts";
import { conversationTooLong, sessionTooLarge } from "../failures.ts";
import type { RenderedTurn } from "./contract.ts";
import { mostConversationTokens } from "../../session-file/limits.ts";
import { mostSessionBytes } from "./limits.ts";

/** What the session holds before the turn. */
export interface Position {
  /** Turns that have ended; 0 where there is nothing, or only a document. */
  readonly turns: number;
  readonly tokens: number;
  /** Of its transcript and tokens as they are stored. */
  readonly bytes: number;
  /** Tokens that come with a change of what the conversation begins with. */
  readonly added?: number;
  /** Functions that the turn before it called. */
  readonly calls?: readonly FunctionCall[];
}

/** As the transcript stores them. */
export const messageBytes = (messages: readonly TranscriptMessage[]): number => new TextEncoder().encode(JSON.stringify(messages)).length;

const tokenBytes = Uint32Array.BYTES_PER_ELEMENT;

/** @throws ServiceError where the messages do not fit here, or too few tokens are left. */
export function renderTurn(
  model: ServedModel,
  { messages, limits, countsHeld, ...begins }: Pick<TurnOrder, "messages" | "limits" | "countsHeld" | "instructions" | "tools">,
  position: Position,
): RenderedTurn {
  const prompt = turnPrompt(model, messages, position, openingOfTurn(begins));
  const before = position.tokens + (position.added ?? 0);
  const held = countsHeld ? before : 0;
  const maxTokens = tokensToGenerate(prompt.length, { ...limits, contextLength: limits.contextLength - held });
  const added = prompt.length + maxTokens;
  if (before + added > mostConversationTokens) throw new ServiceError(conversationTooLong(before, added, mostConversationTokens));
  // Of the answer's text no more is known than that most tokens are as long as their numbers.
  const addedBytes = messageBytes(messages) + tokenBytes * (added + maxTokens);
  if (position.bytes + addedBytes > mostSessionBytes) throw new ServiceError(sessionTooLarge(position.bytes, mostSessionBytes, addedBytes));
  return { prompt, maxTokens };
}
