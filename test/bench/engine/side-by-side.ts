/** Several sequences that go on from one prompt side by side, a token of each in every pass. */
import { alternately } from "../alternately.ts";
import type { Floor, SeriesCollector } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import { mustBeginAlike, mustBeIdentical } from "./agreement.ts";
import { decodedTokens, native, ours, type Participant } from "./participant.ts";

export const sequenceCounts = [1, 4, 16] as const;
export const mostSequences = Math.max(...sequenceCounts);

const settingOf = (count: number): string => `${count} ${count === 1 ? "sequence" : "sequences"} in one pass, after 128 tokens`;
const figure = "decode of all, processor time";

/** One repetition: ours and llama.cpp, with each number of sequences. Throws where several decode something else than one alone. */
export async function measureSideBySide(
  participants: readonly Participant[],
  prompt: readonly number[],
  repetition: number,
  collector: SeriesCollector,
  progress: (message: string) => void,
): Promise<void> {
  for (const participant of alternately(participants, repetition)) {
    const { name } = participant;
    const measured = [];
    for (const sequences of sequenceCounts) {
      const { tokens, decodeProcessorSeconds } = await participant.measure({ prompt, decode: decodedTokens, sequences });
      const rate = (sequences * decodedTokens) / (decodeProcessorSeconds ?? NaN);
      collector.add(settingOf(sequences), figure, "tokens/s", name, rate);
      progress(`${settingOf(sequences)}, ${name}: ${rate.toFixed(1)} tokens/s`);
      measured.push({ program: `${name}, ${settingOf(sequences)}`, tokens });
    }
    const [one, ...several] = measured;
    if (one === undefined) throw new Error("nothing was measured");
    if (name === ours) mustBeIdentical(measured);
    else several.forEach((many) => mustBeginAlike(one, many));
  }
}

/** What several sequences gain over one alone, and over llama.cpp's as many. */
export function sideBySideFloors(collector: SeriesCollector): Floor[] {
  const typical = (count: number, program: string): number => median(collector.find(settingOf(count), figure, program)?.values ?? []);
  return sequenceCounts.slice(1).flatMap((count) => [
    { name: `total of ${count} sequences / 1, ${ours}`, required: 1.4, measured: typical(count, ours) / typical(1, ours) },
    { name: `total of ${count} sequences, ${ours} / ${native}`, required: 1, measured: typical(count, ours) / typical(count, native) },
  ]);
}
