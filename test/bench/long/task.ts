/** What both programs are asked: to stand behind a text of so many tokens, read some more, and decode some after them. */

export interface DeepTask {
  readonly depth: number;
  readonly prefill: number;
  readonly decode: number;
}

export interface DeepMeasurement {
  readonly prefillSeconds: number;
  readonly prefillProcessorSeconds: number;
  readonly decodeSeconds: number;
  readonly decodeProcessorSeconds: number;
  /** Linear memory of our engine; llama.cpp's is taken for the longest text when it starts. */
  readonly memoryBytes?: number;
}
