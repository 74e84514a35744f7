/** Who goes first changes every round, so that a machine that speeds up or slows down meets everybody alike. */
export function alternately<T>(programs: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? programs : programs.toReversed();
}
