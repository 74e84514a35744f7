import type { CacheReport } from "../api/cache-report.ts";
import type { ChatEvent, FinishReason } from "../api/chat-stream.ts";
import type { Placement } from "../api/measures.ts";
import type { Measure } from "./types.ts";

export interface Meter {
  see(event: ChatEvent): void;
  /** How the answer began. */
  began(cache: CacheReport): void;
  /** The connection was lost: what comes next may come at once. */
  lost(): void;
  read(): Measure;
  finishReason(): FinishReason | null;
}

/** Begins to count when it is made, or goes on where another had stopped. */
export function createMeter(now: () => number, before: Measure = { deltas: 0, streamingMs: 0 }): Meter {
  const start = now();
  const [deltasBefore, streamedBefore] = [before.deltas, before.streamingMs];
  let told: Measure = before;
  let first: number | null = null;
  let latest = start;
  let deltas = 0;
  let reason: FinishReason | null = null;
  return {
    see(event) {
      if (event.type === "finish") reason = event.reason;
      else if (event.type === "usage") {
        const { promptTokens, completionTokens, cachedTokens } = event;
        told = { ...told, promptTokens, completionTokens, ...(cachedTokens === undefined ? {} : { cachedTokens }) };
      } else if (event.type === "spikes") told = { ...told, spikes: event.measure };
      else if (event.type === "state") told = { ...told, state: event.measure };
      else if (event.type === "placement") told = { ...told, placements: placedAt(told.placements ?? [], event.placement) };
      else {
        latest = now();
        first ??= latest;
        deltas += 1;
      }
    },
    began: (cache) => void (told = { ...told, cache: told.cache ?? cache }),
    lost: () => void (told = { ...told, resumed: true }),
    read() {
      const firstTokenMs = before.firstTokenMs ?? (first === null || told.resumed === true ? undefined : first - start);
      return {
        ...told,
        deltas: deltasBefore + deltas,
        streamingMs: streamedBefore + (first === null ? 0 : latest - first),
        ...(firstTokenMs === undefined ? {} : { firstTokenMs }),
      };
    },
    finishReason: () => reason,
  };
}

/** A stream that is read again says again what it has said. */
function placedAt(placements: readonly Placement[], next: Placement): readonly Placement[] {
  return placements.some(({ fromToken, backend }) => fromToken === next.fromToken && backend === next.backend)
    ? placements
    : [...placements, next];
}
