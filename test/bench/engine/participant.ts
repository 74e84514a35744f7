/** One program that reads a prompt and goes on from it, timed. */

export interface Task {
  readonly prompt: readonly number[];
  /** Tokens to decode after the prompt, greedily. */
  readonly decode: number;
  /** How many sequences go on from the prompt side by side, each with a token in every pass; one where it is left out. */
  readonly sequences?: number;
}

export interface Measurement {
  /** From an empty state until the prompt is read and the first token can be chosen. */
  readonly prefillSeconds: number;
  /** As long as it takes to choose and read `decode` tokens of each sequence, one after another. */
  readonly decodeSeconds: number;
  /** The same in processor time, which a busy machine does not stretch; null where it cannot be told. */
  readonly prefillProcessorSeconds: number | null;
  readonly decodeProcessorSeconds: number | null;
  /** What was decoded by the first sequence. */
  readonly tokens: readonly number[];
  /** What the program has taken of the machine's memory at the most, and what its weights take; where it tells. */
  readonly residentBytes?: number;
  readonly weightBytes?: number;
}

export interface Participant {
  readonly name: string;
  /** What it says of itself, such as its version. */
  readonly description: string;
  /** Tokens of prompt and completion that it holds. */
  readonly contextLength: number;
  measure(task: Task): Promise<Measurement>;
  close(): Promise<void>;
}

/** Our engine as it is compared, and what it is compared with. */
export const ours = "WASM relaxed, Node";
export const native = "llama.cpp";

/** Our engine with the converted model, which goes on in words of its own where the past has left its window. */
export const converted = "WASM relaxed, Node, converted model";

/** Greedy tokens decoded at every context. */
export const decodedTokens = 32;

export const settingName = (context: number): string => `${context} tokens of context`;
