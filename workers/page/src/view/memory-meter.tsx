import type { ModelState } from "../api/model.ts";
import { cheaperFrom } from "../state/memory.ts";
import { currentConversation, latestState } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { formatCount, formatMegabytes } from "./format.ts";
import { MemoryChart } from "./memory-chart.tsx";
import { SessionPlace } from "./session-place.tsx";

interface MemoryMeterProps {
  /** Tokens of the conversation; null before there is one. */
  readonly used: number | null;
  readonly model: ModelState;
}

/** For a model whose context has no end: tokens read so far, and what that takes beside the cache that full attention would need. */
export function MemoryMeter({ used, model }: MemoryMeterProps) {
  const { state, texts } = useApp();
  const latest = latestState(currentConversation(state));
  const count = used === null ? null : texts.contextEndless(formatCount(used, texts.code));
  return (
    <div class="meter memory">
      {count === null ? null : (
        <div>
          <span class="meter-text">{count}</span>
          <SessionPlace />
        </div>
      )}
      {latest === null ? null : <Comparison tokens={latest.tokens} bytes={latest.bytes} model={model} />}
    </div>
  );
}

interface ComparisonProps {
  readonly tokens: number;
  readonly bytes: number;
  readonly model: ModelState;
}

function Comparison({ tokens, bytes, model }: ComparisonProps) {
  const { texts } = useApp();
  const size = (value: number) => formatMegabytes(value, texts.code);
  const cacheBytes = tokens * model.fullAttentionBytesPerToken;
  return (
    <>
      <div
        class="memory-now"
        role="img"
        aria-label={texts.memorySummary(size(bytes), size(model.bytes), size(cacheBytes), formatCount(tokens, texts.code))}
      >
        <MemoryChart tokens={tokens} bytes={bytes} model={model} />
        <span class="memory-key" data-kind="state">
          {texts.memoryState}
        </span>
        <span class="memory-value">{size(bytes)}</span>
        <span class="memory-key" data-kind="cache">
          {texts.memoryCache}
        </span>
        <span class="memory-value">{size(cacheBytes)}</span>
      </div>
      <p class="memory-crossing">{texts.memoryCrossing(formatCount(cheaperFrom(model), texts.code))}</p>
    </>
  );
}
