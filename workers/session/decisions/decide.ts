/** Answers questions about one input: reads it once, and each question from its state. Runs in the call, and ends with its client. */
import type { Job } from "../../contracts/choice.ts";
import type { CacheReport } from "../../contracts/cache-report.ts";
import type { DecisionOrder, DecisionScores, LabelledQuestion } from "../../contracts/decisions.ts";
import { greedyParameters, mostScoredTokens } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { renderInput, renderQuestion, renderUnasked, type OpenRole } from "../../models/render-question.ts";
import { modelOfVersion, type ServedModel } from "../../models/served-model.ts";
import { fromObject } from "../calls.ts";
import type { SessionEnvironment } from "../environment.ts";
import { internalError, invalidRequest, sessionNotFound } from "../failures.ts";
import { Attempts } from "../generation/attempts.ts";
import { Meter } from "../generation/meter.ts";
import { askPool, type AskPool } from "../generation/pool.ts";
import { findSession } from "../sessions/find-session.ts";
import { tenantStore } from "../snapshots/tiers/near-store.ts";
import { CallStore } from "./call-store.ts";
import { readInput, type InputBase } from "./input-base.ts";
import { questionStates } from "./question-states.ts";

/** Questions under way at the same time: backends compute them together, and a tenant's share of one bounds them anyway. */
const atOnce = 4;

interface Asking {
  readonly order: DecisionOrder;
  readonly model: ServedModel;
  readonly askPool: AskPool;
  readonly meter: Meter;
  readonly signal: AbortSignal;
  /** Once a backend reads the input, or a question where nothing else is left to read. */
  readonly onBegun: (cache: CacheReport) => void;
}

/**
 * `onBegun` is called once, as soon as a backend has taken something of it. @throws ServiceError where the input or a question can't be read, or the
 * backend fails for good.
 */
export async function decide(
  environment: SessionEnvironment,
  order: DecisionOrder,
  signal: AbortSignal,
  onBegun: (cache: CacheReport) => void,
): Promise<DecisionScores> {
  const model = await modelOfVersion(environment, order.model);
  const { tenant, input, place = null } = order;
  const session = input.kind === "session" ? input.session : null;
  const asked = askPool(environment, { tenant, priority: "interactive", session, place });
  const meter = new Meter("decision", order.model.id);
  // One question that fails ends the others.
  const leaving = new AbortController();
  let hasBegun = false;
  const beginning = (cache: CacheReport) => {
    if (!hasBegun) onBegun(cache);
    hasBegun = true;
  };
  const asking = { order, model, askPool: asked, meter, signal: AbortSignal.any([signal, leaving.signal]), onBegun: beginning };
  try {
    const { base, open } = await baseOf(environment, asking);
    const questions = order.questions.map(({ text }) => renderQuestion(model, open, text));
    requireRoom(order, base, questions);
    const ask = (from: InputBase) => (tokens: Uint32Array, at: number) =>
      scoresOf(asking, from, tokens, order.questions[at] as LabelledQuestion);
    const scores = await each(questions, atOnce, ask(base));
    const outputTokens = meter.use.sampledTokens;
    const priors = order.prior ? await priorsOf(order, model, ask(unheld(new Uint32Array(), "a question of nothing"))) : [];
    const inputTokens = questions.reduce((sum, { length }) => sum + length, base.tokens.length + base.unread.length);
    const { cachedTokens, writtenTokens, cache } = base;
    return {
      logprobs: scores.map(({ logprobs }) => logprobs),
      beginsWithLabel: scores.map(({ likeliest }, at) => order.questions[at]?.labels.includes(likeliest) === true),
      ...{ priors, inputTokens, cachedTokens, writtenTokens, outputTokens, cache },
    };
  } finally {
    leaving.abort();
    meter.report();
  }
}

/** A prior is a function of the model and the question: whoever asks the same of many inputs has it asked once. */
const knownPriors = new Map<string, readonly number[]>();
const mostPriors = 1024;
const longestKept = 2048;

async function priorsOf(
  { tenant, model: { digest }, questions }: DecisionOrder,
  model: ServedModel,
  ask: (tokens: Uint32Array, at: number) => Promise<Scores>,
): Promise<readonly (readonly number[])[]> {
  return await each(questions, atOnce, async ({ text, labels }, at) => {
    // One tenant's questions tell another nothing, not even by their time.
    const key = tenant === null || text.length > longestKept ? undefined : JSON.stringify([tenant, digest, text, labels]);
    const known = key === undefined ? undefined : knownPriors.get(key);
    const prior = known ?? (await ask(renderUnasked(model, text), at)).logprobs;
    if (key === undefined) return prior;
    knownPriors.delete(key);
    knownPriors.set(key, prior);
    for (const [oldest] of knownPriors) if (knownPriors.size > mostPriors) knownPriors.delete(oldest);
    return prior;
  });
}

interface OpenBase {
  readonly base: InputBase;
  readonly open: OpenRole;
}

async function baseOf(environment: SessionEnvironment, { order, model, ...rest }: Asking): Promise<OpenBase> {
  const { input, tenant, questions } = order;
  if (input.kind === "session") return await sessionBase(environment, order, input.session);
  const { tokens, open } = renderInput(model, input.messages);
  const next = renderQuestion(model, open, questions[0]?.text ?? "")[0] ?? 0;
  if (!order.abilities.includes("states")) return { base: unheld(tokens, "the model's backend keeps no states"), open };
  const store = tenant === null ? new CallStore() : tenantStore(environment, tenant);
  return { base: await readInput(tokens, next, { order, store, isKept: tenant !== null, ...rest }), open };
}

/** What a session or context has read when the decision is asked for: its last turn's end. */
async function sessionBase(environment: SessionEnvironment, order: DecisionOrder, id: string): Promise<OpenBase> {
  const { tenant } = order;
  const session = tenant === null ? undefined : await findSession(environment, tenant, id, "sess", "ctx");
  if (session === undefined || tenant === null) throw new ServiceError(sessionNotFound());
  const { base: standing, text, turns } = await fromObject(session.standingBase(order.model, order.abilities.includes("states")));
  const { snapshot, tokens: read, unread } = standing;
  const tokens = text.subarray(0, snapshot === null ? 0 : read);
  const reason = snapshot === null ? "no state of it is kept" : "session";
  const cache = { outcome: snapshot === null ? ("miss" as const) : ("hit" as const), tokens: tokens.length, reason };
  const store = tenantStore(environment, tenant);
  const base = { tokens, snapshot, unread, store, cachedTokens: tokens.length, writtenTokens: 0, cache };
  return { base, open: turns === 0 ? "system" : "assistant" };
}

function unheld(tokens: Uint32Array, reason: string): InputBase {
  const cache = { outcome: "miss" as const, tokens: 0, reason };
  return { tokens: new Uint32Array(), snapshot: null, unread: tokens, store: new CallStore(), cachedTokens: 0, writtenTokens: 0, cache };
}

/** One token is sampled; where the input has a state, a request holds what comes after it. */
function requireRoom({ contextLength }: DecisionOrder, { unread }: InputBase, questions: readonly Uint32Array[]): void {
  for (const [at, { length }] of questions.entries()) {
    if (unread.length + length < contextLength) continue;
    const message = `'questions[${String(at)}]': with the input it has ${String(unread.length + length)} tokens; the model takes ${String(contextLength - 1)}.`;
    throw new ServiceError(invalidRequest(message, `questions[${String(at)}]`));
  }
}

interface Scores {
  readonly logprobs: readonly number[];
  /** The token that is the likeliest of all to begin the answer. */
  readonly likeliest: number;
}

/** In as many requests as the labels take. */
async function scoresOf(asking: Asking, base: InputBase, question: Uint32Array, { labels }: LabelledQuestion): Promise<Scores> {
  const logprobs: number[] = [];
  let likeliest = -1;
  for (let at = 0; at < labels.length; at += mostScoredTokens) {
    const some = await scoresOfSome(asking, base, question, labels.slice(at, at + mostScoredTokens));
    logprobs.push(...some.logprobs);
    ({ likeliest } = some);
  }
  return { logprobs, likeliest };
}

async function scoresOfSome(
  { order, askPool: asked, meter, signal, onBegun }: Asking,
  base: InputBase,
  question: Uint32Array,
  labels: readonly number[],
): Promise<Scores> {
  const request = { ...greedyParameters, requestId: order.requestId, prompt: question, maxTokens: 1, scoredTokens: labels };
  const job: Job = { index: 0, promptIndex: 0, stops: [], echo: null, request };
  const attempts = new Attempts({
    ...{ askPool: asked, model: order.model, job, states: questionStates(base, question), meter, signal },
    ...{ abilities: order.abilities, sampled: [], onRetry: () => undefined },
  });
  const events = attempts.events();
  try {
    for (let batch = await events.next(); batch.done !== true; batch = await events.next()) {
      signal.throwIfAborted();
      for (const event of batch.value) {
        if (event.type === "placed") onBegun(base.cache);
        if (event.type !== "token") continue;
        const logprobs = labels.map((label) => event.logprob?.top.find(([id]) => id === label)?.[1] ?? unscored());
        return { logprobs, likeliest: event.id };
      }
    }
  } finally {
    await events.return();
  }
  return unscored();
}

function unscored(): never {
  throw new ServiceError(internalError("The backend has not told how likely a label is."));
}

/** The results of calls of which some run at once; the first that fails ends them. */
async function each<T, R>(values: readonly T[], limit: number, call: (value: T, at: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(values.length);
  const remaining = values.entries();
  const work = async () => {
    for (const [at, value] of remaining) results[at] = await call(value, at);
  };
  await Promise.all(Array.from({ length: Math.min(limit, values.length) }, work));
  return results;
}
