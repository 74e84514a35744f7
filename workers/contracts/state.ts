/** The state of a conversation, as a backend holds it. */

/** What any conversation takes; constant while the backend lives. */
export interface StateDescription {
  /** Most bytes that one conversation takes. */
  readonly bytes: number;
  /** Whether that holds at any length: the context then has no end, and `contextLength` only bounds one request. */
  readonly constant: boolean;
  /** How keys and values are kept. */
  readonly keysAndValues: "int8" | "f32";
  /** Bytes that each token would add if every layer were full attention with keys and values kept the same way. */
  readonly fullAttentionBytesPerToken: number;
}

/** One conversation's state at one moment. */
export interface StateReport {
  /** Tokens read, prompt included. */
  readonly tokens: number;
  /** What the state of all of them takes. */
  readonly bytes: number;
}
