import { currentConversation, latestState } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { SessionPlace } from "./session-place.tsx";
import { formatCount, formatMegabytes } from "./format.ts";

interface MemoryMeterProps {
  /** Tokens of the conversation; null before there is one. */
  readonly used: number | null;
  /** Bytes that each of them would add to a cache of keys and values. */
  readonly perToken: number;
}

/** For a model whose context has no end: tokens read so far, and the state that holds them beside the cache that full attention would need. */
export function MemoryMeter({ used, perToken }: MemoryMeterProps) {
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
      {latest === null ? null : <Comparison bytes={latest.bytes} cacheBytes={latest.tokens * perToken} tokens={latest.tokens} />}
    </div>
  );
}

interface ComparisonProps {
  readonly bytes: number;
  readonly cacheBytes: number;
  readonly tokens: number;
}

function Comparison({ bytes, cacheBytes, tokens }: ComparisonProps) {
  const { texts } = useApp();
  const [state, cache] = [bytes, cacheBytes].map((size) => formatMegabytes(size, texts.code)) as [string, string];
  const longest = Math.max(bytes, cacheBytes, 1);
  return (
    <span class="memory-bars" role="img" aria-label={texts.memorySummary(state, cache, formatCount(tokens, texts.code))}>
      <Bar name={texts.memoryState} share={bytes / longest} value={state} kind="state" />
      <Bar name={texts.memoryCache} share={cacheBytes / longest} value={cache} kind="cache" />
    </span>
  );
}

interface BarProps {
  readonly name: string;
  readonly share: number;
  readonly value: string;
  readonly kind: "state" | "cache";
}

function Bar({ name, share, value, kind }: BarProps) {
  return (
    <>
      <span>{name}</span>
      <span class="memory-bar" data-kind={kind}>
        <span style={{ width: `${share * 100}%` }} />
      </span>
      <span class="memory-value">{value}</span>
    </>
  );
}
