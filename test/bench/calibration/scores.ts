/** How good probabilities are, against what was true; and the temperature that makes the best of them. */
import { calibrated } from "../../../workers/gateway/decisions/calibrated.ts";

/** The probabilities of one question's options, and which of them was right. */
export interface Judged {
  readonly probabilities: readonly number[];
  readonly right: number;
}

const bins = 10;
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const chosen = ({ probabilities }: Judged): number => probabilities.indexOf(Math.max(...probabilities));

/** Share of questions whose likeliest option is right. */
export const accuracy = (judged: readonly Judged[]): number => mean(judged.map((one) => (chosen(one) === one.right ? 1 : 0)));

/** Mean over questions of the squared errors of all of their options: 0 at best, 2 at worst. */
export const brier = (judged: readonly Judged[]): number =>
  mean(
    judged.map(({ probabilities, right }) =>
      probabilities.reduce((sum, probability, at) => sum + (probability - (at === right ? 1 : 0)) ** 2, 0),
    ),
  );

/** Mean of the negative natural logarithm of what the right option was given. */
export const logLoss = (judged: readonly Judged[]): number =>
  mean(judged.map(({ probabilities, right }) => -Math.log(Math.max(probabilities[right] ?? 0, Number.MIN_VALUE))));

/** Expected calibration error: how far confidence is from accuracy, in ten bins of the same width, weighted by their questions. */
export function calibrationError(judged: readonly Judged[]): number {
  const byBin = Map.groupBy(judged, (one) => Math.min(bins - 1, Math.floor(Math.max(...one.probabilities) * bins)));
  return [...byBin.values()].reduce((sum, some) => {
    const confidence = mean(some.map(({ probabilities }) => Math.max(...probabilities)));
    return sum + (some.length / judged.length) * Math.abs(confidence - accuracy(some));
  }, 0);
}

export const under = (judged: readonly Judged[], temperature: number): Judged[] =>
  judged.map(({ probabilities, right }) => ({ probabilities: calibrated(probabilities, temperature), right }));

/** Of least log loss, from 1/20 to 20, to a hundredth: the loss has one minimum over the logarithm of the temperature. */
export function bestTemperature(judged: readonly Judged[]): number {
  let [low, high] = [Math.log(1 / 20), Math.log(20)];
  const loss = (logarithm: number) => logLoss(under(judged, Math.exp(logarithm)));
  for (let step = 0; step < 60; step += 1) {
    const [left, right] = [low + (high - low) * 0.382, low + (high - low) * 0.618];
    if (loss(left) < loss(right)) high = right;
    else low = left;
  }
  return Math.round(Math.exp((low + high) / 2) * 100) / 100;
}
