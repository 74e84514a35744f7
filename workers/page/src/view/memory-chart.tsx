import type { ModelState } from "../api/model.ts";
import { memoryChart, type ChartPoint } from "../state/memory.ts";

const width = 96;
const height = 40;
/** Room for the points' radius. */
const edgePx = 4;

interface MemoryChartProps {
  readonly tokens: number;
  readonly bytes: number;
  readonly model: ModelState;
}

/** A level line for the state, a rising one for a cache of keys and values, and this conversation on both. */
export function MemoryChart({ tokens, bytes, model }: MemoryChartProps) {
  const { stateY, crossing, nowState, nowCache } = memoryChart(tokens, bytes, model);
  const [x, y] = [
    (share: number) => edgePx + share * (width - 2 * edgePx),
    (share: number) => height - edgePx - share * (height - 2 * edgePx),
  ];
  const dot = (point: ChartPoint, kind: string, radius: number) => <circle data-kind={kind} cx={x(point.x)} cy={y(point.y)} r={radius} />;
  return (
    <svg class="memory-chart" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <line class="memory-today" x1={x(nowState.x)} x2={x(nowState.x)} y1={y(0) + edgePx} y2={y(1) - edgePx} />
      <line data-kind="cache" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
      <line data-kind="state" x1={x(0)} y1={y(stateY)} x2={x(1)} y2={y(stateY)} />
      {dot(crossing, "crossing", 2)}
      {dot(nowCache, "cache", 3)}
      {dot(nowState, "state", 3)}
    </svg>
  );
}
