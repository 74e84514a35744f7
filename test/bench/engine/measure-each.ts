/** One repetition: every program reads the same prompt and goes on from it, one after another. */
import type { SeriesCollector } from "../report/result.ts";
import { mustBeginAlike, mustBeIdentical, type Continuation } from "./agreement.ts";
import { converted, decodedTokens, native, ours, settingName, type Measurement, type Participant } from "./participant.ts";

/** Adds what was measured to the collector; returns what our engine decoded. Throws when ours differ, or llama.cpp begins otherwise. */
export async function measureEach(
  participants: readonly Participant[],
  prompt: readonly number[],
  collector: SeriesCollector,
  progress: (message: string) => void,
): Promise<readonly number[]> {
  const setting = settingName(prompt.length);
  const continuations: Continuation[] = [];
  for (const participant of participants) {
    const { name } = participant;
    const measured = await participant.measure({ prompt, decode: decodedTokens });
    const rates = ratesOf(measured, prompt.length);
    for (const [figure, rate] of rates) collector.add(setting, figure, "tokens/s", name, rate);
    continuations.push({ program: name, tokens: measured.tokens });
    progress(`${setting}, ${name}: ${rates.map(([figure, rate]) => `${figure} ${rate.toFixed(1)}`).join(", ")} tokens/s`);
  }
  const isNative = ({ program }: Continuation): boolean => program.startsWith(native);
  const mine = continuations.find(({ program }) => program === ours);
  if (mine === undefined) throw new Error(`${ours} did not take part`);
  mustBeIdentical(continuations.filter((one) => !isNative(one) && one.program !== converted));
  for (const theirs of continuations.filter(isNative)) {
    collector.add(setting, `greedy tokens equal to ours, of ${decodedTokens}`, "tokens", theirs.program, mustBeginAlike(mine, theirs));
  }
  return mine.tokens;
}

/** Tokens a second, by figure; without the figures that cannot be told. */
function ratesOf(measured: Measurement, context: number): (readonly [figure: string, rate: number])[] {
  const rates = [
    ["prefill", context, measured.prefillSeconds],
    ["decode", decodedTokens, measured.decodeSeconds],
    ["prefill, processor time", context, measured.prefillProcessorSeconds],
    ["decode, processor time", decodedTokens, measured.decodeProcessorSeconds],
  ] as const;
  return rates.flatMap(([figure, tokens, seconds]) => (seconds === null ? [] : [[figure, tokens / seconds] as const]));
}
