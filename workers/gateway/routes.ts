/** Every route: what answers it, and what the API's document says of it. */
import type { Handler } from "hono";
import type { GatewayTypes } from "./environment.ts";
import { chatCompletions } from "./http/chat-completions.ts";
import { completions } from "./http/completions.ts";
import { decisions } from "./http/decisions.ts";
import { health, ready } from "./http/health.ts";
import { countMessageTokens, createMessage } from "./http/messages.ts";
import { listModels, oneModel } from "./http/models.ts";
import { tellPool } from "./http/pool-replicas.ts";
import { appendText, contextEvents, createContext, listContexts } from "./http/contexts.ts";
import {
  conversationItem,
  conversationItems,
  createConversation,
  deleteConversation,
  noteMetadata,
  oneConversation,
} from "./http/conversations.ts";
import { cancelResponse, countInputTokens, createResponse, deleteResponse, inputItems, oneResponse } from "./http/responses.ts";
import {
  createSession,
  deleteSession,
  exportSession,
  forkSession,
  importSession,
  listSessions,
  listShares,
  oneSession,
  renameSession,
  rewindSession,
  sessionTurns,
  sharedSession,
  shareSession,
  unshare,
  usage,
} from "./http/sessions.ts";
import { resumeStream, stopStream } from "./http/streams.ts";
import { systemOne } from "./http/systemone.ts";
import { detokenize, tokenize } from "./http/tokenize.ts";
import type { DocumentedRoute } from "./openapi/document.ts";
import { modelsQuery } from "./schema/models-query.ts";
import { itemQuery, itemsQuery, responseQuery } from "./schema/response-query.ts";
import { listQuery, newContextQuery, sharesQuery, turnsQuery, uploadQuery } from "./schema/session.ts";

export interface Route extends DocumentedRoute {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly handler: Handler<GatewayTypes>;
}

export const poolReplicasPath = "/v1/pool/replicas";

export const apiRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/chat/completions",
    handler: chatCompletions,
    operation: {
      does: "Answers a chat, whole or streamed",
      body: "ChatCompletionRequest",
      answer: "ChatCompletion",
      events: ["ChatCompletionChunk"],
    },
  },
  {
    method: "POST",
    path: "/v1/completions",
    handler: completions,
    operation: { does: "Continues prompts, whole or streamed", body: "CompletionRequest", answer: "Completion", events: ["Completion"] },
  },
  {
    method: "POST",
    path: "/v1/messages",
    handler: createMessage,
    operation: {
      ...{ does: "Answers a chat, as Anthropic's clients ask for it", body: "MessageRequest", answer: "Message", events: ["MessageEvent"] },
      error: "MessagesError",
    },
  },
  {
    method: "POST",
    path: "/v1/messages/count_tokens",
    handler: countMessageTokens,
    operation: {
      ...{ does: "Counts the tokens of what a message would answer", body: "MessageCountRequest", answer: "MessageTokens" },
      error: "MessagesError",
    },
  },
  {
    method: "POST",
    path: "/v1/decisions",
    handler: decisions,
    operation: { does: "Typed answers to questions, with probabilities", body: "DecisionRequest", answer: "Decisions" },
  },
  {
    method: "POST",
    path: "/v1/systemone",
    handler: systemOne,
    operation: { does: "Decisions, as vLLM's clients ask for them", body: "SystemOneRequest", answer: "SystemOne" },
  },
  {
    method: "POST",
    path: "/v1/responses",
    handler: createResponse,
    operation: { does: "Makes a response, whole or streamed", body: "ResponseRequest", answer: "Response", events: ["ResponseEvent"] },
  },
  {
    method: "POST",
    path: "/v1/responses/input_tokens",
    handler: countInputTokens,
    operation: { does: "Counts the tokens that a response would go on from", body: "ResponseRequest", answer: "InputTokens" },
  },
  {
    method: "GET",
    path: "/v1/responses/:id",
    handler: oneResponse,
    operation: { does: "A response as it is now, or its events", query: responseQuery, answer: "Response", events: ["ResponseEvent"] },
  },
  {
    method: "DELETE",
    path: "/v1/responses/:id",
    handler: deleteResponse,
    operation: { does: "Ends and forgets a response", answer: "DeletedResponse" },
  },
  {
    method: "POST",
    path: "/v1/responses/:id/cancel",
    handler: cancelResponse,
    operation: { does: "Ends a response where it runs", answer: "Response" },
  },
  {
    method: "GET",
    path: "/v1/responses/:id/input_items",
    handler: inputItems,
    operation: { does: "What a response's request added to the conversation", query: itemsQuery, answer: "ItemList" },
  },
  {
    method: "POST",
    path: "/v1/conversations",
    handler: createConversation,
    operation: { does: "Makes a conversation", body: "NewConversation", answer: "Conversation" },
  },
  { method: "GET", path: "/v1/conversations/:id", handler: oneConversation, operation: { does: "A conversation", answer: "Conversation" } },
  {
    method: "POST",
    path: "/v1/conversations/:id",
    handler: noteMetadata,
    operation: { does: "Notes other metadata of a conversation", body: "ConversationMetadata", answer: "Conversation" },
  },
  {
    method: "DELETE",
    path: "/v1/conversations/:id",
    handler: deleteConversation,
    operation: { does: "Deletes a conversation", answer: "DeletedConversation" },
  },
  {
    method: "GET",
    path: "/v1/conversations/:id/items",
    handler: conversationItems,
    operation: { does: "What was said in a conversation", query: itemsQuery, answer: "ItemList" },
  },
  {
    method: "GET",
    path: "/v1/conversations/:id/items/:item",
    handler: conversationItem,
    operation: { does: "One thing that was said in a conversation", query: itemQuery, answer: "Item" },
  },
  {
    method: "GET",
    path: "/v1/streams/:id",
    handler: resumeStream,
    operation: {
      does: "A stream again, after the event of the header Last-Event-ID",
      events: ["ChatCompletionChunk", "Completion", "ResponseEvent", "MessageEvent"],
    },
  },
  { method: "DELETE", path: "/v1/streams/:id", handler: stopStream, operation: { does: "Ends an answer here", status: 204 } },
  {
    method: "POST",
    path: "/v1/sessions",
    handler: createSession,
    operation: { does: "Makes a session", body: "NewSession", answer: "Session", status: 201 },
  },
  {
    method: "GET",
    path: "/v1/sessions",
    handler: listSessions,
    operation: { does: "Sessions, latest first", query: listQuery, answer: "SessionList" },
  },
  {
    method: "POST",
    path: "/v1/sessions/import",
    handler: importSession,
    operation: { does: "Makes a session of a session file", media: "application/octet-stream", answer: "Session", status: 201 },
  },
  { method: "GET", path: "/v1/sessions/:id", handler: oneSession, operation: { does: "A session", answer: "Session" } },
  {
    method: "PATCH",
    path: "/v1/sessions/:id",
    handler: renameSession,
    operation: { does: "Renames a session", body: "NewName", answer: "Session" },
  },
  { method: "DELETE", path: "/v1/sessions/:id", handler: deleteSession, operation: { does: "Deletes a session", status: 204 } },
  {
    method: "GET",
    path: "/v1/sessions/:id/turns",
    handler: sessionTurns,
    operation: { does: "A session's turns", query: turnsQuery, answer: "TurnList" },
  },
  {
    method: "POST",
    path: "/v1/sessions/:id/rewind",
    handler: rewindSession,
    operation: { does: "Takes a session back to a turn's end", body: "Rewind", answer: "Session" },
  },
  {
    method: "POST",
    path: "/v1/sessions/:id/fork",
    handler: forkSession,
    operation: { does: "Makes a session of another's turns", body: "Fork", answer: "Session", status: 201 },
  },
  {
    method: "POST",
    path: "/v1/sessions/:id/share",
    handler: shareSession,
    operation: { does: "Shares a session as it is now", body: "NewShare", answer: "MadeShare", status: 201 },
  },
  {
    method: "POST",
    path: "/v1/sessions/:id/export",
    handler: exportSession,
    operation: { does: "A session as a sealed file", body: "Export", answer: { media: "application/octet-stream" } },
  },
  {
    method: "GET",
    path: "/v1/shares",
    handler: listShares,
    operation: { does: "Shares, latest first", query: sharesQuery, answer: "ShareList" },
  },
  {
    method: "GET",
    path: "/v1/shares/:id",
    handler: sharedSession,
    operation: { does: "A shared session", answer: "SharedSession", isOpen: true },
  },
  { method: "DELETE", path: "/v1/shares/:id", handler: unshare, operation: { does: "Ends a share", status: 204 } },
  {
    method: "POST",
    path: "/v1/contexts",
    handler: createContext,
    operation: {
      does: "Makes a context, empty or of a text",
      query: newContextQuery.partial(),
      body: "NewContext",
      media: "text/plain",
      answer: "Session",
      status: 201,
    },
  },
  {
    method: "GET",
    path: "/v1/contexts",
    handler: listContexts,
    operation: { does: "Contexts, latest first", query: listQuery, answer: "SessionList" },
  },
  { method: "GET", path: "/v1/contexts/:id", handler: oneSession, operation: { does: "A context", answer: "Session" } },
  {
    method: "PATCH",
    path: "/v1/contexts/:id",
    handler: renameSession,
    operation: { does: "Renames a context", body: "NewName", answer: "Session" },
  },
  { method: "DELETE", path: "/v1/contexts/:id", handler: deleteSession, operation: { does: "Deletes a context", status: 204 } },
  {
    method: "PUT",
    path: "/v1/contexts/:id/text",
    handler: appendText,
    operation: { does: "Appends text to a context", query: uploadQuery, media: "text/plain", answer: "Session" },
  },
  {
    method: "GET",
    path: "/v1/contexts/:id/events",
    handler: contextEvents,
    operation: { does: "A context whenever it changes, until it is read", events: ["Session"] },
  },
  { method: "GET", path: "/v1/usage", handler: usage, operation: { does: "What a key keeps", answer: "Usage" } },
  {
    method: "GET",
    path: "/v1/models",
    handler: listModels,
    operation: { does: "The models of this deployment", query: modelsQuery, answer: "ModelList" },
  },
  // The rest of the path is the id: public model ids may hold slashes.
  { method: "GET", path: "/v1/models/:id{.+}", handler: oneModel, operation: { does: "A model", answer: "Model" } },
  {
    method: "POST",
    path: poolReplicasPath,
    handler: tellPool,
    operation: { does: "A replica's message, signed by its node", media: "application/json", answer: "PoolAnswer", isOpen: true },
  },
  {
    method: "POST",
    path: "/tokenize",
    handler: tokenize,
    operation: { does: "Token ids of text or messages", body: "TokenizeRequest", answer: "Tokens" },
  },
  {
    method: "POST",
    path: "/detokenize",
    handler: detokenize,
    operation: { does: "Text of token ids", body: "DetokenizeRequest", answer: "Prompt" },
  },
  { method: "GET", path: "/health", handler: health, operation: { does: "Whether the gateway runs", answer: "Health", isOpen: true } },
  {
    method: "GET",
    path: "/ready",
    handler: ready,
    operation: { does: "Whether the model has produced a token", answer: "Ready", isOpen: true },
  },
];
