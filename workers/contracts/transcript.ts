/** What a conversation is made of. */

export interface TranscriptMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  readonly name?: string;
  /** Functions that the assistant called, after what it said. */
  readonly calls?: readonly FunctionCall[];
  /** The call that a tool's message answers. */
  readonly callId?: string;
}

export interface FunctionCall {
  readonly id: string;
  readonly name: string;
  /** A JSON object, as text. */
  readonly arguments: string;
}
