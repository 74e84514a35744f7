import type { FinishReason } from "../api/chat-stream.ts";
import type { ContextFacts } from "../api/contexts.ts";
import type { Failure } from "../api/failure.ts";
import type { ServedModel } from "../api/model.ts";
import type { SessionFacts } from "../api/sessions.ts";
import type { Share } from "../api/shares.ts";
import type { Transcript } from "./transcript.ts";
import type { Settings } from "../api/chat-request.ts";
import type {
  AnswerStream,
  Conversation,
  DeviceState,
  Document,
  DocumentRef,
  Measure,
  Message,
  Notice,
  Preferences,
  SessionLink,
  SharedView,
} from "./types.ts";

/** Everything that can happen to the state. */
export type Action = PageAction | ConversationAction | SessionAction | AnswerAction | DocumentAction;

export type PageAction =
  | { readonly type: "models-loaded"; readonly models: readonly ServedModel[] }
  | { readonly type: "model-failed"; readonly failure: Failure }
  | { readonly type: "online-changed"; readonly online: boolean }
  | { readonly type: "preferences-changed"; readonly preferences: Partial<Preferences> }
  | { readonly type: "device-changed"; readonly device: DeviceState }
  | { readonly type: "notice-changed"; readonly notice: Notice | null }
  | { readonly type: "shared-changed"; readonly shared: SharedView | null }
  /** Whether the server keeps sessions at all. */
  | { readonly type: "sessions-kept"; readonly kept: boolean };

export type ConversationAction =
  | { readonly type: "settings-changed"; readonly settings: Settings; readonly now: number }
  | { readonly type: "conversations-loaded"; readonly conversations: readonly Conversation[]; readonly currentId: string | null }
  | { readonly type: "conversation-opened"; readonly id: string | null; readonly about?: DocumentRef }
  | { readonly type: "conversation-created"; readonly conversation: Conversation }
  | { readonly type: "conversation-renamed"; readonly id: string; readonly name: string }
  | { readonly type: "conversation-deleted"; readonly id: string }
  | { readonly type: "conversation-restored" }
  | { readonly type: "deletion-settled"; readonly id: string }
  /** Goes back to the branch with this message. */
  | { readonly type: "version-chosen"; readonly id: string; readonly messageId: string }
  /** Makes message `from` and all after it (where given) a branch, then adds these. */
  | {
      readonly type: "messages-replaced";
      readonly id: string;
      readonly from?: string;
      readonly added: readonly Message[];
      readonly now: number;
    };

export type SessionAction =
  /** Null lets go of one that the server no longer has. */
  | { readonly type: "session-linked"; readonly id: string; readonly session: SessionLink | null }
  /** Whether the conversation goes on in this browser's own engine. */
  | { readonly type: "device-held"; readonly id: string; readonly held: boolean }
  /** The server has taken over what went on here, as a session whose turns ended with these answers. */
  | {
      readonly type: "session-moved";
      readonly id: string;
      readonly facts: SessionFacts;
      readonly answers: readonly { readonly turn: number; readonly text: string }[];
    }
  | { readonly type: "session-told"; readonly id: string; readonly facts: SessionFacts }
  | { readonly type: "sessions-listed"; readonly sessions: readonly SessionFacts[] }
  | {
      readonly type: "transcript-loaded";
      readonly id: string;
      readonly transcript: Transcript;
      readonly facts: SessionFacts;
    }
  | { readonly type: "shares-changed"; readonly id: string; readonly shares: readonly Share[] };

export type AnswerAction =
  | { readonly type: "answer-opened"; readonly id: string; readonly messageId: string; readonly stream: AnswerStream }
  | {
      readonly type: "answer-grew";
      readonly id: string;
      readonly messageId: string;
      readonly text: string;
      readonly measure: Measure;
      /** The newest event that this text includes. */
      readonly eventId?: string;
    }
  /** Without text: the prompt is being read, or the answer goes on elsewhere. */
  | { readonly type: "answer-measured"; readonly id: string; readonly messageId: string; readonly measure: Measure }
  /** The server has kept it as this turn of the session, whatever became of its stream. */
  | { readonly type: "answer-kept"; readonly id: string; readonly messageId: string; readonly text: string; readonly turn: number }
  /** One that had failed is taken up again. */
  | { readonly type: "answer-resumed"; readonly id: string; readonly messageId: string }
  | {
      readonly type: "answer-ended";
      readonly id: string;
      readonly messageId: string;
      readonly status: "done" | "stopped" | "failed";
      readonly measure: Measure;
      readonly finishReason?: FinishReason;
      readonly failure?: Failure;
      /** Whether its stream may still be taken up. */
      readonly resumable?: boolean;
      readonly now: number;
    };

export type DocumentAction =
  | { readonly type: "documents-listed"; readonly contexts: readonly ContextFacts[] }
  | { readonly type: "document-changed"; readonly document: Document }
  | { readonly type: "document-failed"; readonly id: string; readonly failure: Failure }
  | { readonly type: "document-removed"; readonly id: string };
