/** The load of a simulation: sessions, each with when it begins and what is asked in it. Of one seed, always the same. */
import { seeded } from "../workers/support/dice.ts";
import * as recorded from "./distributions.ts";

export interface Turn {
  /** Tokens that no earlier turn of this session has. */
  readonly newTokens: number;
  readonly answerTokens: number;
  /** From the begin of the turn before; 0 for the first one. */
  readonly afterMilliseconds: number;
}

export interface Session {
  readonly affinity: string;
  readonly at: number;
  /** Tokens at its beginning that sessions of the same affinity share; 0 for a conversation, whose affinity is its own. */
  readonly sharedTokens: number;
  readonly turns: readonly Turn[];
}

export interface LoadOptions {
  readonly seed: number;
  readonly sessions: number;
  /** Sessions that begin in a second, on average. */
  readonly perSecond: number;
}

/** How long sessions begin. */
export function loadMilliseconds({ sessions, perSecond }: LoadOptions): number {
  return (1000 * sessions) / perSecond;
}

/** The recording's wave has one peak an hour; in a shorter run it has two in all. */
function rateAt(at: number, total: number): number {
  return 1 + recorded.rateWave * Math.sin((2 * Math.PI * at) / Math.min(3_600_000, total / 2));
}

export function* load(options: LoadOptions): Generator<Session> {
  const dice = seeded(options.seed);
  const popularity = Array.from({ length: recorded.beginnings }, (_unused, rank) => [Math.floor(1e6 / (rank + 1)), rank] as const);
  const lengths = popularity.map(() => 256 + dice.below(2048 - 256));
  const total = loadMilliseconds(options);
  let at = 0;
  for (let index = 0; index < options.sessions; index++) {
    at += (-Math.log(1 - recorded.uniform(dice)) * 1000) / (options.perSecond * rateAt(at, total));
    if (recorded.uniform(dice) < recorded.applicationShare) {
      const rank = dice.weighted(popularity);
      const turn = { newTokens: recorded.drawQuantile(recorded.addedTokens, dice), ...answer(dice), afterMilliseconds: 0 };
      yield { affinity: `beginning ${rank}`, at, sharedTokens: lengths[rank] ?? 0, turns: [turn] };
    } else {
      const turns: Turn[] = [{ newTokens: recorded.drawQuantile(recorded.promptTokens, dice), ...answer(dice), afterMilliseconds: 0 }];
      for (let more = dice.weighted(recorded.turns); more > 1; more--) {
        const afterMilliseconds = 1000 * recorded.drawQuantile(recorded.turnSeconds, dice);
        turns.push({ newTokens: recorded.drawQuantile(recorded.addedTokens, dice), ...answer(dice), afterMilliseconds });
      }
      yield { affinity: `conversation ${index}`, at, sharedTokens: 0, turns };
    }
  }
}

function answer(dice: ReturnType<typeof seeded>): Pick<Turn, "answerTokens"> {
  return { answerTokens: recorded.drawQuantile(recorded.answerTokens, dice) };
}
