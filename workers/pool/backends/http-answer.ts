/** One question to a server over HTTP and its answer, streamed or whole, in any dialect. */
import type { GenerateEvent, GenerateRequest, ModelDescription, TokenLogprob } from "../../contracts/engine.ts";
import { Answer, checkedScore, type AnswerPart } from "./answer.ts";
import { malformed } from "./failures.ts";
import { boundedText, bytesOf, type ReplicaHttp } from "./replica-http.ts";
import { serverEvents } from "./server-events.ts";

/** Reads one dialect's JSON. */
export interface Dialect {
  /** An event of a stream. @throws ServiceError where it cannot be one. */
  part(event: unknown): AnswerPart;
  /** A whole answer, with the scores of its prompt. @throws ServiceError where it cannot be one. */
  whole(answer: unknown, prompt: Uint32Array): { readonly part: AnswerPart; readonly scores: readonly (TokenLogprob | null)[] };
}

export interface Question {
  readonly request: GenerateRequest;
  readonly model: ModelDescription;
  /** The whole text before the answer. */
  readonly prompt: Uint32Array;
  /** At least one, which is what servers sample; more than the answer may have where its last token is to be read, too. */
  readonly askedTokens: number;
  readonly path: string;
  readonly body: string;
  readonly dialect: Dialect;
}

/** Only an answer that comes whole has its prompt's scores; its headers come when all is done. */
export function isStreamed({ promptLogprobs }: Pick<GenerateRequest, "promptLogprobs">): boolean {
  return promptLogprobs === null;
}

/** The answer's head, in the form that {@link answerEvents} reads. @throws ServiceError where the server refuses. */
export async function ask(http: ReplicaHttp, { request, path, body }: Question, signal: AbortSignal): Promise<Response> {
  const asked = { method: "POST", path, body } as const;
  if (isStreamed(request)) return await http.ask({ ...asked, accept: "text/event-stream" }, signal);
  return await http.ask({ ...asked, accept: "application/json", headerMilliseconds: Infinity }, signal);
}

/**
 * The events but the end, which `answer` then has. What came with it is returned, to go on together with it: each chunk more costs every Worker on the
 * way to the client. @throws ServiceError where what comes cannot be the answer, after what came before it.
 */
export async function* answerEvents(
  response: Response,
  question: Question,
  answer: Answer,
): AsyncGenerator<readonly GenerateEvent[], readonly GenerateEvent[], undefined> {
  const { request, dialect } = question;
  const mostBytes = mostAnswerBytes(question);
  if (request.promptLogprobs !== null) {
    const whole = dialect.whole(jsonOf(await boundedText(response, mostBytes)), question.prompt);
    yield [{ type: "prompt", logprobs: checkedScores(whole.scores, question, request.promptLogprobs) }];
    yield* taken([whole.part], (part) => answer.take(part));
  } else
    for await (const { values, areLast } of serverEvents(bytesOf(response), mostBytes, () => answer.hasBegun)) {
      const last = yield* taken(values, (event) => answer.take(dialect.part(event)), areLast);
      if (areLast) return last;
    }
  return [];
}

type Finish = ReturnType<Answer["end"]>;

/** Gives `last`, what `before` says of the answer's end, and that; returns it. @throws ServiceError where the answer has none, after `last`. */
export function* withEnd(
  last: readonly GenerateEvent[],
  answer: Answer,
  before: (end: Finish) => readonly GenerateEvent[] = () => [],
): Generator<readonly GenerateEvent[], Finish, undefined> {
  let end: Finish;
  try {
    end = answer.end();
  } catch (cause) {
    if (last.length > 0) yield last;
    throw cause;
  }
  yield [...last, ...before(end), end];
  return end;
}

/** What is made of all these together; where one of them cannot be, what was made before it comes first. Where it is `kept`, it is returned. */
function* taken<From>(
  all: readonly From[],
  take: (one: From) => Iterable<GenerateEvent>,
  kept = false,
): Generator<readonly GenerateEvent[], readonly GenerateEvent[], undefined> {
  const made: GenerateEvent[] = [];
  let wrong: { readonly cause: unknown } | undefined;
  try {
    for (const one of all) for (const event of take(one)) made.push(event);
  } catch (cause) {
    wrong = { cause };
  }
  if (kept && wrong === undefined) return made;
  if (made.length > 0) yield made;
  if (wrong !== undefined) throw wrong.cause;
  return [];
}

export function answerTo({ request, model, prompt, askedTokens }: Question): Answer {
  return new Answer({ request, model, promptTokens: prompt.length, askedTokens });
}

function checkedScores(scores: readonly (TokenLogprob | null)[], { prompt, model }: Question, alternatives: number) {
  if (scores.length !== prompt.length) throw malformed("it has not one score for each token of the prompt");
  return scores.map((score, at) => {
    // Nothing predicts the first.
    if (at === 0) return null;
    if (score === null) throw malformed("the score of one of the prompt's tokens is missing");
    return checkedScore(score, prompt[at] ?? -1, model.vocabularySize, alternatives);
  });
}

/** Four times what an answer takes in the wordiest dialect. */
function mostAnswerBytes({ request, prompt, askedTokens }: Question): number {
  const ofToken = (alternatives: number | null) => 1024 + 256 * (1 + (alternatives ?? 0));
  const ofPrompt = request.promptLogprobs === null ? 0 : ofToken(request.promptLogprobs);
  return 65_536 + prompt.length * (16 + ofPrompt) + askedTokens * ofToken(request.scoredTokens?.length ?? request.topLogprobs);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("it is not JSON");
  }
}
