/** What looking for a state costs a request that finds none: fresh prompts with a key, for which states are kept, beside the same without one. */
import { seeded } from "../../workers/support/dice.ts";
import type { SeriesCollector } from "../report/result.ts";
import { alternately } from "../alternately.ts";
import type { Client } from "./client.ts";
import { untilIdle } from "./idle.ts";
import { firstTokenFigure } from "./resume.ts";

export const missLengths = [200, 1000] as const;
export const missSetting = (tokens: number): string => `a fresh prompt of ${tokens} tokens`;
export const withKey = "with a key";
export const withoutKey = "without a key";
const pairsARound = 12;

export interface MissOptions {
  readonly url: string;
  readonly keyed: Client;
  readonly keyless: Client;
  readonly model: string;
  readonly text: readonly number[];
  readonly rounds: number;
  readonly progress: (message: string) => void;
  readonly collector: SeriesCollector;
}

export async function measureMisses({ url, keyed, keyless, model, text, rounds, progress, collector }: MissOptions): Promise<void> {
  const dice = seeded(1);
  const programs = [
    { name: withKey, client: keyed },
    { name: withoutKey, client: keyless },
  ] as const;
  for (let round = 0; round < rounds; round += 1) {
    for (let pair = 0; pair < pairsARound; pair += 1) {
      for (const tokens of missLengths) {
        const prompt = Array.from({ length: tokens }, () => dice.of(text));
        for (const { name, client } of alternately(programs, pair)) {
          await untilIdle(url);
          const body = { model, prompt, max_tokens: 2, temperature: 0, ignore_eos: true };
          const { firstToken, cachedTokens, cache } = await client.stream("/v1/completions", body);
          if (cachedTokens !== 0) throw new Error(`${missSetting(tokens)}, ${name}: nothing may be known of it; ${cache}`);
          collector.add(missSetting(tokens), firstTokenFigure, "ms", name, firstToken);
        }
      }
      progress(`round ${round + 1}: pair ${pair + 1} of ${pairsARound} of fresh prompts`);
    }
  }
}
