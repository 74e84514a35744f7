/** Where a turn of a session starts, as the session's object hands it to whoever generates the turn. */

/** A state and the conversation's tokens after it. */
export interface TurnBase {
  /** Null: nothing has been read, or all of it must be read again. */
  readonly snapshot: string | null;
  /** Tokens the snapshot has read. */
  readonly tokens: number;
  /** Tokens of the conversation after the snapshot and before the turn's own; they are read first. */
  readonly unread: Uint32Array;
}

export interface PreparedTurn {
  /** The session that takes the turn: a fork where the one asked for is busy. */
  readonly session: string;
  readonly turn: number;
  readonly base: TurnBase;
  /** Distinct ids of the tokens before the snapshot's end; empty unless a repetition penalty needs them. */
  readonly seen: Uint32Array;
  /** Name of the backend that last read the conversation, whose caches may hold it; null, or left out, where none is known. */
  readonly lastBackend?: string | null;
  /** Whether the conversation begins with other instructions or functions than it did, so that all of it is read again. */
  readonly hasOtherOpening?: true;
}
