/** Time to the first token of a request that repeats a history and adds a little: what was read once is not read again, however long it is. */
import { locateModel } from "../../../infra/local/models/source.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { setupPython, venvPython } from "../../../infra/local/python/setup-python.ts";
import { seeded } from "../../workers/support/dice.ts";
import { startChild } from "../engine/child-participant.ts";
import type { Participant } from "../engine/participant.ts";
import type { SeriesCollector } from "../report/result.ts";
import { alternately } from "../alternately.ts";
import type { Answer, Client } from "./client.ts";
import { untilIdle } from "./idle.ts";

export const resumeSetting = "resume, the history sent again";
export const firstTokenFigure = "time to first token";
/** What a request adds to its history. */
export const newTokens = 16;
const answerTokens = 2;
/** Repetitions at every length in one round. */
const timesARound = 3;

export const ourProgram = (history: number): string => `${history} tokens of history`;
export const llamaProgram = (history: number): string => `${history} tokens of history, llama.cpp`;

export interface ResumeOptions {
  readonly url: string;
  readonly client: Client;
  readonly model: string;
  readonly histories: readonly number[];
  /** At least as many tokens as the longest history. */
  readonly text: readonly number[];
  readonly rounds: number;
  readonly progress: (message: string) => void;
  readonly collector: SeriesCollector;
}

/** Reads the histories that nothing is kept of, then measures. Returns what is to be noted. */
export async function measureResume(options: ResumeOptions): Promise<readonly string[]> {
  const { url, client, text, rounds, progress, collector } = options;
  const { data } = await client.json<{ readonly data: readonly { readonly max_model_len: number }[] }>("GET", "/v1/models");
  const requestTokens = Math.min(...data.map((model) => model.max_model_len));
  const histories = options.histories.filter((history) => history + newTokens + answerTokens <= requestTokens);
  for (const history of histories) await readHistory(options, history);
  const llama = await startLlama();
  // Prompts of their own for every run: an earlier run's whole requests are kept as well.
  const dice = seeded(Date.now() >>> 0);
  try {
    for (let round = 0; round < rounds; round += 1) {
      for (let repetition = 0; repetition < timesARound; repetition += 1) {
        for (const history of alternately(histories, round + repetition)) {
          const added = Array.from({ length: newTokens }, () => dice.of(text));
          const prompt = [...text.slice(0, history), ...added];
          const answer = await complete(options, prompt);
          mustBeCached(answer, history);
          collector.add(resumeSetting, firstTokenFigure, "ms", ourProgram(history), answer.firstToken);
          progress(`round ${round + 1}, ${ourProgram(history)}: first token after ${answer.firstToken.toFixed(0)} ms`);
          await untilIdle(url);
          if (prompt.length >= llama.contextLength) continue;
          const { prefillSeconds } = await llama.measure({ prompt, decode: 0 });
          collector.add(resumeSetting, firstTokenFigure, "ms", llamaProgram(history), 1000 * prefillSeconds);
          progress(`round ${round + 1}, ${llamaProgram(history)}: ${(1000 * prefillSeconds).toFixed(0)} ms`);
        }
      }
    }
  } finally {
    await llama.close();
  }
  return [
    `llama.cpp reads the history and the new tokens again each time, on the base model (${llama.description}); it is left out where its ${llama.contextLength} tokens of context end.`,
  ];
}

/**
 * An answer's token is part of what is kept, so the last token of the history is one that is sampled: a bias leaves nothing else. What an earlier
 * run has kept of the history is found, and takes no time.
 */
async function readHistory({ url, client, model, text, progress }: ResumeOptions, history: number): Promise<void> {
  const begin = performance.now();
  const last = text[history - 1] ?? NaN;
  const body = { model, prompt: text.slice(0, history - 1), max_tokens: 1, temperature: 0, ignore_eos: true, logit_bias: { [last]: 100 } };
  const answer = await client.stream("/v1/completions", body);
  await untilIdle(url);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  progress(`${ourProgram(history)}: read in ${seconds} s, ${answer.cachedTokens} of them were known (${answer.cache})`);
}

async function complete({ client, model }: ResumeOptions, prompt: readonly number[]): Promise<Answer> {
  return await client.stream("/v1/completions", { model, prompt, max_tokens: answerTokens, temperature: 0, ignore_eos: true });
}

function mustBeCached({ cachedTokens, promptTokens, cache }: Answer, history: number): void {
  if (cachedTokens === history && promptTokens === history + newTokens) return;
  throw new Error(
    `A request of ${history} tokens of history and ${newTokens} new ones must find the state of all its history; it had ${promptTokens} tokens, ` +
      `and of ${cachedTokens} the state was there (x-spikingbrain-cache: ${cache}).`,
  );
}

async function startLlama(): Promise<Participant> {
  await setupPython("test");
  await setupPython("bench");
  const { path } = await locateModel({ SPIKINGBRAIN_MODEL: "smollm2-135m" });
  const args = [inRepository("test/bench/llama/engine_child.py"), path, "f16"];
  return await startChild({ name: "llama.cpp", command: venvPython, args });
}
