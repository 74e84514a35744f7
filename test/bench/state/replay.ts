/** Many conversations at once, as a stock client holds them: it sends all of a conversation with every turn, and knows nothing of states. */
import { seeded } from "../../workers/support/dice.ts";
import type { SeriesCollector } from "../report/result.ts";
import { quantile } from "../report/statistics.ts";
import { alternately } from "../alternately.ts";
import type { Answer, Client } from "./client.ts";
import { inventConversations, type Conversation } from "./conversations.ts";
import { firstTokenFigure } from "./resume.ts";

export const replaySetting = (conversations: number): string => `${conversations} conversations replayed`;
export const replayedProgram = "with a key";
export const sampledFigure = "time to first token, sampled requests";
export const sampledPrograms = { keyed: "with a key", keyless: "without a key" } as const;

const seed = 20_261_125;
const atATime = 2;
/** Conversations under way, of which anyone may go on next. */
const openConversations = 12;
const answerTokens = 8;
/** One request of so many is made a second time, without a key. */
const sampledOf = 20;

interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ReplayOptions {
  readonly keyed: Client;
  readonly keyless: Client;
  readonly model: string;
  readonly conversations: number;
  readonly progress: (message: string) => void;
  readonly collector: SeriesCollector;
}

interface Sample {
  readonly keyed: number;
  readonly keyless: number;
}

export async function replay(options: ReplayOptions): Promise<void> {
  const { conversations, collector, progress } = options;
  const waiting = inventConversations(conversations, seed).map(spoken);
  const open = waiting.splice(0, openConversations);
  const dice = seeded(seed);
  const answers: Answer[] = [];
  const samples: Sample[] = [];
  let asked = 0;

  async function client(): Promise<void> {
    // A conversation that is being answered is not open: its client waits for the answer.
    for (let one = take(open, dice.below(open.length)); one !== undefined; one = take(open, dice.below(open.length))) {
      asked += 1;
      const sampled = asked % sampledOf === 0 ? alternately(["keyed", "keyless"] as const, asked / sampledOf) : (["keyed"] as const);
      const answer = await ask(one, sampled);
      one.messages.push({ role: "assistant", content: answer.text });
      if (one.left.length > 0) open.push(one);
      else open.push(...waiting.splice(0, 1));
      if (asked % 50 === 0) progress(`replay: ${asked} requests, ${waiting.length} conversations not begun`);
    }
  }

  async function ask(one: Spoken, clients: readonly ("keyed" | "keyless")[]): Promise<Answer> {
    one.messages.push({ role: "user", content: one.left.shift() ?? "" });
    const times = { keyed: NaN, keyless: NaN };
    let kept: Answer | undefined;
    for (const name of clients) {
      const body = { model: options.model, messages: one.messages, max_tokens: answerTokens, temperature: 0, ignore_eos: true };
      const answer = await options[name].stream("/v1/chat/completions", body);
      times[name] = answer.firstToken;
      if (name === "keyless") continue;
      kept = answer;
      answers.push(answer);
    }
    if (kept === undefined) throw new Error("no request was made with the key");
    if (clients.length > 1) samples.push(times);
    return kept;
  }

  await Promise.all(Array.from({ length: atATime }, client));
  const setting = replaySetting(conversations);
  const add = (figure: string, unit: string, value: number) => {
    collector.add(setting, figure, unit, replayedProgram, value);
  };
  const total = (of: (answer: Answer) => number) => answers.reduce((all, answer) => all + of(answer), 0);
  const times = answers.map(({ firstToken }) => firstToken);
  add("requests", "requests", answers.length);
  add("hit rate, requests", "%", (100 * answers.filter(({ cachedTokens }) => cachedTokens > 0).length) / answers.length);
  add("hit rate, prompt tokens", "%", (100 * total(({ cachedTokens }) => cachedTokens)) / total(({ promptTokens }) => promptTokens));
  add("rejected states", "requests", answers.filter(({ cache }) => cache.startsWith("rejected")).length);
  add(`${firstTokenFigure}, p50`, "ms", quantile(times, 0.5));
  add(`${firstTokenFigure}, p99`, "ms", quantile(times, 0.99));
  for (const sample of samples) {
    collector.add(setting, sampledFigure, "ms", sampledPrograms.keyed, sample.keyed);
    collector.add(setting, sampledFigure, "ms", sampledPrograms.keyless, sample.keyless);
  }
}

/** A conversation under way. */
interface Spoken {
  readonly messages: Message[];
  readonly left: string[];
}

function spoken({ system, turns }: Conversation): Spoken {
  return { messages: [{ role: "system", content: system }], left: [...turns] };
}

function take<T>(from: T[], at: number): T | undefined {
  return from.splice(at, 1)[0];
}
