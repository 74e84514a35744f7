/** What an answer says of where it ran, where it was asked: in the first chunk of each part, and in whole choices. */
import type { PlacementReport } from "../../contracts/choice.ts";

/** What a chunk says, where another part begins. */
export function livePlacement(placement: PlacementReport | undefined): { readonly placement?: object } {
  return placement === undefined ? {} : { placement: placementOf(placement) };
}

/** The parts of a whole choice. */
export function allPlacements(placements: readonly PlacementReport[] | undefined): { readonly placements?: readonly object[] } {
  return placements === undefined ? {} : { placements: placements.map(placementOf) };
}

function placementOf({ backend, kind, fromToken }: PlacementReport): object {
  return { backend, kind, from_token: fromToken };
}
