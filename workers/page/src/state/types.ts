import type { StreamPosition } from "../api/answer-stream.ts";
import type { CacheReport } from "../api/cache-report.ts";
import type { Settings } from "../api/chat-request.ts";
import type { FinishReason } from "../api/chat-stream.ts";
import type { ContextFacts } from "../api/contexts.ts";
import type { Failure } from "../api/failure.ts";
import type { Placement, SpikeMeasure, StateMeasure } from "../api/measures.ts";
import type { ServedModel } from "../api/model.ts";
import type { SessionFacts } from "../api/sessions.ts";
import type { Share, SharedSession } from "../api/shares.ts";
import type { Language } from "../language/choice.ts";

export interface UserMessage {
  readonly id: string;
  readonly role: "user";
  readonly text: string;
  readonly version?: number;
}

export interface AssistantMessage {
  readonly id: string;
  readonly role: "assistant";
  readonly text: string;
  /** `waiting` has no text yet; the last three are final. */
  readonly status: "waiting" | "streaming" | "done" | "stopped" | "failed";
  readonly model: string;
  readonly finishReason?: FinishReason;
  readonly failure?: Failure;
  readonly measure: Measure;
  /** While it is written, and after the connection was lost for good: where its stream is taken up again. */
  readonly stream?: AnswerStream;
  /** The turn of the conversation's session that it ends. */
  readonly turn?: number;
  /** Which it is of those that have stood at its place, in the order they were made; the first has none. */
  readonly version?: number;
}

export interface AnswerStream extends StreamPosition {
  /** The turn that the answer will have ended; null outside a session. */
  readonly turn: number | null;
}

/** What was seen of an answer's speed. Times are milliseconds of `performance.now()` differences. */
export interface Measure {
  /** From sending to the first text. */
  readonly firstTokenMs?: number;
  /** From the first text to the newest. */
  readonly streamingMs: number;
  /** Text events seen, which is about the number of tokens; `completionTokens` is the exact number once the server has told it. */
  readonly deltas: number;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  /** Prompt tokens that were remembered, once the server has told. */
  readonly cachedTokens?: number;
  /** How it began. */
  readonly cache?: CacheReport;
  /** Whether it came over more than one connection, so that its times say little. */
  readonly resumed?: true;
  readonly spikes?: SpikeMeasure;
  readonly state?: StateMeasure;
  /** Where it ran, in order; more than one where it went on elsewhere. */
  readonly placements?: readonly Placement[];
}

export type Message = UserMessage | AssistantMessage;

export interface Conversation {
  readonly id: string;
  /** Null until the person names it: the view then shows the first message. */
  readonly name: string | null;
  /** Unix milliseconds of the last change, which orders the list. */
  readonly updatedAt: number;
  readonly settings: Settings;
  readonly messages: readonly Message[];
  /** What edit and regenerate have replaced, the latest last. */
  readonly branches?: readonly Branch[];
  /** What the server keeps of it; conversations without one are sent whole with every message. */
  readonly session?: SessionLink;
  /** What the server has last said of the session. */
  readonly facts?: SessionFacts;
  /** The server has turns of it that this browser has not: they are fetched when it is opened. */
  readonly behind?: true;
  /** The document it is about. */
  readonly document?: DocumentRef;
  /** Whether it was split off another. */
  readonly forked?: true;
  /** It goes on in this browser's own engine, which has turns that the server has not. */
  readonly onDevice?: true;
  /** Links to it that were made here. */
  readonly shares?: readonly Share[];
}

/** A course that a conversation has left, from its first message on. */
export interface Branch {
  readonly messages: readonly Message[];
  readonly session?: SessionLink;
  readonly facts?: SessionFacts;
}

export interface SessionLink {
  readonly id: string;
  readonly model: string;
  /** The system prompt it began with, which cannot change without reading everything again. */
  readonly system: string;
  /** How many turns the server has; null while that is not certain. */
  readonly turns: number | null;
  /** Its turns are as an earlier visit knew them: others may have changed it since, and the server has not been asked. */
  readonly recalled?: true;
}

export interface DocumentRef {
  readonly id: string;
  readonly name: string;
}

/** A document at the edge, or on its way there. */
export interface Document {
  readonly facts: ContextFacts;
  /** Bytes of the whole text, where it is uploaded from here. */
  readonly size: number | null;
  /** Why it does not go on; the server's own failure is among the facts. */
  readonly failure: Failure | null;
}

/** A conversation of somebody's, looked at by its link. */
export interface SharedView {
  readonly id: string;
  readonly session: SharedSession | null;
  readonly failure: Failure | null;
}

/** Something that went wrong beside the conversation. */
export interface Notice {
  readonly what: "rename" | "delete" | "fork" | "transcript" | "document" | "device";
  readonly failure: Failure;
}

export type Theme = "system" | "light" | "dark";

export interface Preferences {
  readonly theme: Theme;
  readonly language: Language;
  /** What a new conversation starts with. */
  readonly settings: Settings;
  /** Id of the model that answers in new conversations; null leaves it to the server. */
  readonly model: string | null;
  /** Whether this browser's own engine answers, where it has the model. */
  readonly onDevice: boolean;
}

/** This browser's own engine. */
export type DeviceState =
  | { readonly status: "off" }
  | {
      readonly status: "loading";
      /** Bytes of the weights, of them all. */
      readonly received: number;
      readonly total: number;
      /** Whether they come over the network. */
      readonly downloads: boolean;
    }
  | {
      readonly status: "ready";
      /** That compute a token between them. */
      readonly threads: number;
    }
  | { readonly status: "failed"; readonly failure: Failure };

export interface State {
  readonly preferences: Preferences;
  /** Newest first. */
  readonly conversations: readonly Conversation[];
  /** Null is a conversation not begun yet: nothing is stored before the first message. */
  readonly currentId: string | null;
  /** The server's own choice first; empty before it has been asked. */
  readonly models: readonly ServedModel[];
  /** The one that answers in the open conversation, or in the next one (`modelFor`). */
  readonly model: ServedModel | null;
  /** Why there is no model. */
  readonly modelFailure: Failure | null;
  readonly online: boolean;
  readonly device: DeviceState;
  /** What the server has last shown: it keeps sessions, or does not know of any. */
  readonly keepsSessions: boolean;
  /** The last deleted conversation, while it can still be brought back. */
  readonly deleted: Conversation | null;
  /** Newest first. */
  readonly documents: readonly Document[];
  /** What the conversation that is not begun yet will be about. */
  readonly about: DocumentRef | null;
  readonly shared: SharedView | null;
  readonly notice: Notice | null;
}
