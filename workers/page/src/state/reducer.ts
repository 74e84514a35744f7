import type { Action, PageAction } from "./action.ts";
import { reduceAnswer } from "./answer-reducer.ts";
import { reduceConversation } from "./conversation-reducer.ts";
import { reduceDocument } from "./document-reducer.ts";
import { currentConversation, modelFor } from "./selectors.ts";
import { reduceSession } from "./session-reducer.ts";
import type { State } from "./types.ts";

export function reduce(state: State, action: Action): State {
  const next = reduceOne(state, action);
  const model = modelFor(next, currentConversation(next), next.about);
  return model === next.model ? next : { ...next, model };
}

function reduceOne(state: State, action: Action): State {
  switch (action.type) {
    case "settings-changed":
    case "conversations-loaded":
    case "conversation-opened":
    case "conversation-created":
    case "conversation-renamed":
    case "conversation-deleted":
    case "conversation-restored":
    case "deletion-settled":
    case "messages-replaced":
    case "version-chosen":
      return reduceConversation(state, action);
    case "session-linked":
    case "device-held":
    case "session-moved":
    case "session-told":
    case "sessions-listed":
    case "transcript-loaded":
    case "shares-changed":
      return reduceSession(state, action);
    case "answer-opened":
    case "answer-grew":
    case "answer-measured":
    case "answer-kept":
    case "answer-resumed":
    case "answer-ended":
      return reduceAnswer(state, action);
    case "documents-listed":
    case "document-changed":
    case "document-failed":
    case "document-removed":
      return reduceDocument(state, action);
    case "models-loaded":
    case "model-failed":
    case "online-changed":
    case "preferences-changed":
    case "device-changed":
    case "notice-changed":
    case "shared-changed":
    case "sessions-kept":
      return reducePage(state, action);
  }
}

function reducePage(state: State, action: PageAction): State {
  switch (action.type) {
    case "models-loaded":
      return { ...state, models: action.models, modelFailure: null };
    case "model-failed":
      return { ...state, models: [], modelFailure: action.failure };
    case "online-changed":
      return { ...state, online: action.online };
    case "preferences-changed":
      return { ...state, preferences: { ...state.preferences, ...action.preferences } };
    case "device-changed":
      return { ...state, device: action.device };
    case "notice-changed":
      return { ...state, notice: action.notice };
    case "shared-changed":
      return { ...state, shared: action.shared };
    case "sessions-kept":
      return { ...state, keepsSessions: action.kept };
  }
}
