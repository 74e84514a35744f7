import type { ChatEvent, FinishReason } from "../api/chat-stream.ts";
import type { Measure, SpikeMeasure, StateMeasure } from "./types.ts";

export interface Meter {
  see(event: ChatEvent): void;
  read(): Measure;
  finishReason(): FinishReason | null;
}

/** Begins to count when it is made. */
export function createMeter(now: () => number): Meter {
  const start = now();
  let first: number | null = null;
  let latest = start;
  let deltas = 0;
  let usage: { promptTokens: number; completionTokens: number } | null = null;
  let spikes: SpikeMeasure | null = null;
  let state: StateMeasure | null = null;
  let reason: FinishReason | null = null;
  return {
    see(event) {
      if (event.type === "finish") reason = event.reason;
      else if (event.type === "usage") usage = { promptTokens: event.promptTokens, completionTokens: event.completionTokens };
      else if (event.type === "spikes") spikes = event.measure;
      else if (event.type === "state") state = event.measure;
      else {
        latest = now();
        first ??= latest;
        deltas += 1;
      }
    },
    read() {
      return {
        deltas,
        streamingMs: first === null ? 0 : latest - first,
        ...(first === null ? {} : { firstTokenMs: first - start }),
        ...usage,
        ...(spikes === null ? {} : { spikes }),
        ...(state === null ? {} : { state }),
      };
    },
    finishReason: () => reason,
  };
}
