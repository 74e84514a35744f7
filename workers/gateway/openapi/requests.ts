/** Bodies of requests under the names that the document gives them: the schemas that read them. */
import type * as z from "zod";
import { messageBody, messageCountBody } from "../schema/anthropic-message.ts";
import { chatCompletionBody } from "../schema/chat-completion.ts";
import { completionBody } from "../schema/completion.ts";
import { conversationBody, newConversationBody } from "../schema/conversation.ts";
import { decisionBody } from "../schema/decision.ts";
import { responseBody } from "../schema/response.ts";
import { exportBody, forkBody, newContextBody, newSessionBody, renameBody, rewindBody, shareBody } from "../schema/session.ts";
import { systemOneBody } from "../schema/systemone.ts";
import { detokenizeBody, tokenizeBody } from "../schema/tokenize.ts";

export const requestShapes = {
  ChatCompletionRequest: chatCompletionBody,
  CompletionRequest: completionBody,
  ResponseRequest: responseBody,
  MessageRequest: messageBody,
  MessageCountRequest: messageCountBody,
  DecisionRequest: decisionBody,
  SystemOneRequest: systemOneBody,
  NewConversation: newConversationBody,
  ConversationMetadata: conversationBody,
  NewSession: newSessionBody,
  NewContext: newContextBody,
  NewName: renameBody,
  Rewind: rewindBody,
  Fork: forkBody,
  NewShare: shareBody,
  Export: exportBody,
  TokenizeRequest: tokenizeBody,
  DetokenizeRequest: detokenizeBody,
} as const satisfies Record<string, z.ZodType>;

export type RequestShape = keyof typeof requestShapes;
