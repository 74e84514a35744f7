import type { ModelState } from "../api/model.ts";
import { memoryChart, type ChartPoint } from "../state/memory.ts";

const WIDTH = 96;
const HEIGHT = 40;
/** Room for the points' radius. */
const EDGE = 4;

interface MemoryChartProps {
  readonly tokens: number;
  readonly bytes: number;
  readonly model: ModelState;
}

/** A level line for the state, a rising one for a cache of keys and values, and this conversation on both. */
export function MemoryChart({ tokens, bytes, model }: MemoryChartProps) {
  const { stateY, crossing, nowState, nowCache } = memoryChart(tokens, bytes, model);
  const [x, y] = [(share: number) => EDGE + share * (WIDTH - 2 * EDGE), (share: number) => HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)];
  const dot = (point: ChartPoint, kind: string, radius: number) => <circle data-kind={kind} cx={x(point.x)} cy={y(point.y)} r={radius} />;
  return (
    <svg class="memory-chart" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <line class="memory-today" x1={x(nowState.x)} x2={x(nowState.x)} y1={y(0) + EDGE} y2={y(1) - EDGE} />
      <line data-kind="cache" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
      <line data-kind="state" x1={x(0)} y1={y(stateY)} x2={x(1)} y2={y(stateY)} />
      {dot(crossing, "crossing", 2)}
      {dot(nowCache, "cache", 3)}
      {dot(nowState, "state", 3)}
    </svg>
  );
}
