/** What the server tells of an answer beside its text. */

/** Where a part of an answer ran. */
export interface Placement {
  /** The backend's name. */
  readonly backend: string;
  /** Whether that is an engine of the WASM kind, at the edge or here; else it is a replica of the pool. */
  readonly onEngine: boolean;
  /** Whether it is this browser's. */
  readonly onDevice?: true;
  /** Tokens of the answer that came before this part. */
  readonly fromToken: number;
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
