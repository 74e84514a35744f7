/** What is compared with what, and what is promised of it. */
import { compare, type Comparison, type Floor, type Series, type SeriesCollector } from "../report/result.ts";
import { median } from "../report/statistics.ts";
import { lengthProgram, lengths, lengthSetting } from "./lengths.ts";
import { missLengths, missSetting, withKey, withoutKey } from "./misses.ts";
import { replaySetting, sampledFigure, sampledPrograms } from "./replay.ts";
import { firstTokenFigure, llamaProgram, ourProgram, resumeSetting } from "./resume.ts";
import { documentProgram, forkFigure, sessionSetting } from "./sessions.ts";
import type { StateSettings } from "./settings.ts";

/** Resuming the longest history may take so much of the time longer than the shortest. */
const leastFlatness = 0.8333;
/** A request that finds nothing may take three hundredths longer for having looked. */
const leastMissRatio = 0.9709;

interface Pair {
  readonly setting: string;
  readonly figure: string;
  readonly program: string;
  readonly baseline: string;
}

/** Ratios of what took part. */
export function comparisons(collector: SeriesCollector, { histories, conversations }: StateSettings): Comparison[] {
  const [shortest = 0, ...longer] = histories;
  const resumed = { setting: resumeSetting, figure: firstTokenFigure };
  const pairs: readonly Pair[] = [
    ...longer.map((history) => ({ ...resumed, program: ourProgram(history), baseline: ourProgram(shortest) })),
    ...histories.map((history) => ({ ...resumed, program: llamaProgram(history), baseline: ourProgram(history) })),
    ...[firstTokenFigure, forkFigure].flatMap((figure) =>
      longer.map((history) => ({
        ...{ setting: sessionSetting, figure },
        ...{ program: documentProgram(history), baseline: documentProgram(shortest) },
      })),
    ),
    ...lengths.slice(1).map((length) => ({
      ...{ setting: lengthSetting, figure: firstTokenFigure },
      ...{ program: lengthProgram(length), baseline: lengthProgram(lengths[0]) },
    })),
    ...missLengths.map((tokens) => ({ setting: missSetting(tokens), figure: firstTokenFigure, program: withKey, baseline: withoutKey })),
    { setting: replaySetting(conversations), figure: sampledFigure, program: sampledPrograms.keyed, baseline: sampledPrograms.keyless },
  ];
  return pairs.flatMap((pair) => ratioOf(collector, pair) ?? []);
}

/** Of the parts that ran. */
export function floors(collector: SeriesCollector, { histories }: StateSettings): Floor[] {
  const promise = (required: number, setting: string, program: string, baseline: string): Floor[] => {
    const ratio = ratioOf(collector, { setting, figure: firstTokenFigure, program, baseline });
    return ratio === undefined ? [] : [{ name: `${setting}: ${program} / ${baseline}`, required, measured: median(ratio.values) }];
  };
  const flat = (setting: string, programOf: (history: number) => string): Floor[] => {
    const programs = histories.map(programOf).filter((program) => collector.find(setting, firstTokenFigure, program) !== undefined);
    return programs.length < 2 ? [] : promise(leastFlatness, setting, programs[0] ?? "", programs.at(-1) ?? "");
  };
  return [
    ...flat(resumeSetting, ourProgram),
    ...flat(sessionSetting, documentProgram),
    ...promise(leastFlatness, lengthSetting, lengthProgram(lengths[0]), lengthProgram(lengths.at(-1) ?? 0)),
    ...missLengths.flatMap((tokens) => promise(leastMissRatio, missSetting(tokens), withoutKey, withKey)),
  ];
}

function ratioOf(collector: SeriesCollector, { setting, figure, program, baseline }: Pair): Comparison | undefined {
  const find = (name: string): Series | undefined => collector.find(setting, figure, name);
  const [left, right] = [find(program), find(baseline)];
  return left === undefined || right === undefined ? undefined : compare(left, right, "ratio");
}
