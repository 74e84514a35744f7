/** What a model takes for likely, as frequencies: a small model is surer, or less sure, than it is right. */

/**
 * Probabilities under a temperature: 1 leaves them, more brings them closer together, less drives them apart; their order stays. The temperature is
 * measured for each model (`test/bench/calibration`) on what is averaged already, so that a client can undo it.
 */
export function calibrated(probabilities: readonly number[], temperature: number): readonly number[] {
  if (temperature === 1) return probabilities;
  const highest = Math.max(...probabilities);
  const weights = probabilities.map((probability) => (probability / highest) ** (1 / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
