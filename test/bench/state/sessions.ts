/** Time to the first token of a question about a document: sessions that fork from a context send the question alone, however long the document. */
import type { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import type { SeriesCollector } from "../report/result.ts";
import { alternately } from "../alternately.ts";
import type { Client } from "./client.ts";
import { findContext, forkContext, sendContext, whenRead, type Context } from "./contexts.ts";
import { untilIdle } from "./idle.ts";
import { firstTokenFigure } from "./resume.ts";

export const sessionSetting = "resume, a session forked from a document";
export const forkFigure = "forking the document";
export const documentProgram = (tokens: number): string => `a document of ${tokens} tokens`;

const question = "What is this text about? Answer in one sentence.";
/** Repetitions at every length in one round. */
const timesARound = 3;

export interface SessionOptions {
  readonly url: string;
  readonly client: Client;
  readonly model: string;
  readonly tokenizer: Pick<Tokenizer, "decode">;
  readonly histories: readonly number[];
  /** At least as many tokens as the longest history. */
  readonly text: readonly number[];
  readonly rounds: number;
  readonly progress: (message: string) => void;
  readonly collector: SeriesCollector;
}

export async function measureSessions(options: SessionOptions): Promise<void> {
  const { url, client, model, histories, rounds, progress, collector } = options;
  const contexts = new Map<number, Context>();
  for (const history of histories) contexts.set(history, await contextOf(options, history));
  for (let round = 0; round < rounds; round += 1) {
    for (let repetition = 0; repetition < timesARound; repetition += 1) {
      for (const [history, context] of alternately([...contexts], round + repetition)) {
        const begin = performance.now();
        const session = await forkContext(client, model, context);
        collector.add(sessionSetting, forkFigure, "ms", documentProgram(history), performance.now() - begin);
        await untilIdle(url);
        const messages = [{ role: "user", content: question }];
        const body = { model, session_id: session, messages, max_tokens: 2, temperature: 0, ignore_eos: true };
        const { firstToken, cachedTokens, promptTokens, cache } = await client.stream("/v1/chat/completions", body);
        if (cachedTokens !== context.tokens) {
          const known = `${cachedTokens} of ${promptTokens} prompt tokens (x-spikingbrain-cache: ${cache})`;
          throw new Error(`A question about ${context.tokens} tokens must find the state of all of them; it found that of ${known}.`);
        }
        collector.add(sessionSetting, firstTokenFigure, "ms", documentProgram(history), firstToken);
        progress(`round ${round + 1}, ${documentProgram(history)}: first token after ${firstToken.toFixed(0)} ms`);
        await client.json("DELETE", `/v1/sessions/${session}`);
        await untilIdle(url);
      }
    }
  }
}

/** A session over a document of so many tokens. */
export async function forkOfDocument(options: SessionOptions, history: number): Promise<string> {
  return await forkContext(options.client, options.model, await contextOf(options, history));
}

/** What an earlier run has made of the same text is taken as it is: reading a million tokens takes an hour. */
async function contextOf({ client, model, tokenizer, text, progress }: SessionOptions, history: number): Promise<Context> {
  const document = tokenizer.decode(text.slice(0, history));
  const found = await findContext(client, model, document);
  const begin = performance.now();
  const context = await whenRead(client, found ?? (await sendContext(client, model, document)), (tokens) => {
    progress(`${documentProgram(history)}: ${tokens} read`);
  });
  const how = found === undefined ? `read in ${((performance.now() - begin) / 1000).toFixed(1)} s` : "kept by an earlier run";
  progress(`${documentProgram(history)}: ${how}`);
  return context;
}
