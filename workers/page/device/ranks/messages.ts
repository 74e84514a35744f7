/** What the thread with the engine's first rank says to the others, in this order, before they follow it (`workers/engine/ranks`). */
import type { LoaderOptions } from "../../../engine/engine-surface.ts";
import type { CallLine } from "../../../engine/ranks/calls.ts";
import type { Meeting } from "../../../engine/ranks/exchange.ts";

export type RankOrder =
  /** Answered by {@link readyWord}. */
  | { readonly type: "start"; readonly module: WebAssembly.Module }
  | {
      readonly type: "begin";
      readonly options: LoaderOptions & { readonly rank: number };
      readonly meeting: Meeting;
      readonly line: CallLine;
    }
  /** The next bytes of the weights, in memory that all ranks share. */
  | { readonly type: "push"; readonly chunk: Uint8Array }
  /** Takes no more messages: calls come by the line. */
  | { readonly type: "follow" };

export const readyWord = "ready";
