import type { Texts } from "../language/english.ts";
import type { Placement } from "../api/measures.ts";
import { useApp } from "./context.ts";
import { formatCount } from "./format.ts";

/** Where an answer ran, and where it went on when that backend failed. */
export function PlacementNote({ placements }: { readonly placements: readonly Placement[] }) {
  const { texts } = useApp();
  return (
    <ul class="placement">
      {placements.map((placement, index) => (
        <li key={index}>{index === 0 ? ranAt(placement, texts) : wentOnAt(placement, texts)}</li>
      ))}
    </ul>
  );
}

function ranAt({ onEngine, onDevice, backend }: Placement, texts: Texts): string {
  if (onDevice === true) return texts.ranOnDevice;
  return onEngine ? texts.ranOnEngine : texts.ranOnReplica(backend);
}

export function wentOnAt({ onEngine, backend, fromToken }: Placement, texts: Texts): string {
  const tokens = formatCount(fromToken, texts.code);
  return onEngine ? texts.wentOnOnEngine(tokens) : texts.wentOnAtReplica(backend, tokens);
}
