import type { FinishReason } from "../api/chat-stream.ts";
import type { Failure } from "../api/failure.ts";
import type { ServedModel } from "../api/model.ts";
import type { Language } from "../language/language.ts";

/** What a conversation asks of the model. Null leaves a setting to the server. */
export interface Settings {
  readonly system: string;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly topK: number | null;
  readonly minP: number | null;
  readonly presencePenalty: number | null;
  readonly frequencyPenalty: number | null;
  readonly repetitionPenalty: number | null;
  readonly maxTokens: number | null;
  readonly seed: number | null;
  /** Whether to ask what fires; conversations stored before there was a choice have none. */
  readonly spikes?: boolean;
}

export interface UserMessage {
  readonly id: string;
  readonly role: "user";
  readonly text: string;
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
  readonly spikes?: SpikeMeasure;
  readonly state?: StateMeasure;
}

/** What the conversation's state held and took when the server last told. */
export interface StateMeasure {
  /** Tokens read. */
  readonly tokens: number;
  readonly bytes: number;
}

/** What the model's neurons have fired for an answer and its prompt. */
export interface SpikeMeasure {
  /** Share of inputs that do not fire. */
  readonly silentShare: number;
  /** Spikes an input. */
  readonly meanSpikes: number;
  /** The silent share of each layer; null until the answer has ended. */
  readonly layers: readonly number[] | null;
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
}

export type Theme = "system" | "light" | "dark";

export interface Preferences {
  readonly theme: Theme;
  readonly language: Language;
  /** What a new conversation starts with. */
  readonly settings: Settings;
}

export interface State {
  readonly preferences: Preferences;
  /** Newest first. */
  readonly conversations: readonly Conversation[];
  /** Null is a conversation not begun yet: nothing is stored before the first message. */
  readonly currentId: string | null;
  readonly model: ServedModel | null;
  /** Why there is no model. */
  readonly modelFailure: Failure | null;
  readonly online: boolean;
  /** The last deleted conversation, while it can still be brought back. */
  readonly deleted: Conversation | null;
}
