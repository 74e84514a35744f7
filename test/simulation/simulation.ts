/**
 * A pool under load, event by event. Isolates plan from snapshots that are up to two seconds old, which hold what replicas reported up to two
 * seconds before; a tenth of the replicas goes at some moment, and what ran there goes on elsewhere.
 */
import { greedyParameters } from "../../workers/contracts/engine.ts";
import type { PlanRequest } from "../../workers/pool/policy.ts";
import type { PoolSnapshot, Replica } from "../../workers/pool/replica.ts";
import { seeded } from "../workers/support/dice.ts";
import { description, replica as replicaOf, version } from "../workers/support/pool.ts";
import { uniform } from "./distributions.ts";
import { EventQueue } from "./event-queue.ts";
import { Counter, type Figures } from "./figures.ts";
import { load, loadMilliseconds, type LoadOptions, type Session } from "./load.ts";
import type { MakeRouter, Router } from "./routers.ts";
import { SimulatedReplica } from "./simulated-replica.ts";

export interface SimulationOptions extends LoadOptions {
  readonly replicas: number;
  readonly isolates: number;
  readonly router: MakeRouter;
  /** Share of the replicas that are half as fast as the others. */
  readonly slow: number;
}

const heartbeatMilliseconds = 2_000;
const snapshotMilliseconds = 2_000;
const expiryMilliseconds = 15_000;
/** Until a request to a replica that is gone has failed. */
const failureMilliseconds = 50;
/** Between the first two looks of a request that waits for room; each time after that twice as long, up to the last. */
const waitMilliseconds = 100;
const longestWaitMilliseconds = 3_200;
const sampleMilliseconds = 5_000;
/** What comes before is warming up, and when the tenth goes: shares of the run. */
const warmShare = 0.3;
const lossShare = 0.65;

interface Isolate {
  readonly router: Router;
  snapshot: PoolSnapshot;
}

/** A turn on its way. */
interface Ask {
  readonly session: Session;
  readonly turn: number;
  readonly beganAt: number;
  /** When it was asked, or cut. */
  readonly askedAt: number;
  readonly promptTokens: number;
  readonly repeatedTokens: number;
  readonly answerTokens: number;
  /** A conversation's object asks from one place; of an application, each request from anywhere. */
  readonly isolate: Isolate;
  readonly avoid: readonly string[];
  /** How often it has found no room. */
  readonly waits: number;
}

/** Isolates, slow replicas and a rate at which so many replicas are busy and not full. */
export function loadFor(replicas: number): Pick<SimulationOptions, "replicas" | "isolates" | "slow" | "perSecond"> {
  return { replicas, isolates: Math.max(2, Math.round(replicas / 25)), slow: 0.1, perSecond: 0.2 * replicas };
}

export function simulate(options: SimulationOptions): Figures {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #queue = new EventQueue();
  readonly #dice;
  readonly #replicas: SimulatedReplica[];
  readonly #byName: ReadonlyMap<string, SimulatedReplica>;
  /** What the registry knows; undefined where one has expired. */
  readonly #known: (Replica | undefined)[];
  readonly #isolates: Isolate[];
  readonly #counter: Counter;
  readonly #model = [description];
  #open = 0;
  #allBegun = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#dice = seeded(options.seed + 1);
    const slow = Math.floor(options.replicas * options.slow);
    this.#replicas = Array.from(
      { length: options.replicas },
      (_unused, index) => new SimulatedReplica(`replica-${index}`, this.#queue, index < slow ? 2 : 1),
    );
    this.#byName = new Map(this.#replicas.map((one) => [one.name, one]));
    this.#known = this.#replicas.map((one) => this.#report(one));
    const now = () => this.#queue.now;
    const random = () => uniform(this.#dice);
    this.#isolates = Array.from({ length: options.isolates }, () => ({
      router: options.router(now, random),
      snapshot: { takenAt: -Infinity, replicas: [] },
    }));
    const total = loadMilliseconds(options);
    this.#counter = new Counter(warmShare * total, lossShare * total);
  }

  run(): Figures {
    const total = loadMilliseconds(this.#options);
    this.#replicas.forEach((one, index) => {
      this.#heartbeat(one, index, (heartbeatMilliseconds * index) / this.#replicas.length);
    });
    this.#nextSession(load(this.#options));
    this.#sample();
    this.#queue.add(lossShare * total, () => this.#lose());
    this.#queue.run(() => this.#allBegun && (this.#open === 0 || this.#queue.now > 1.1 * total));
    return this.#counter.figures();
  }

  #report(one: SimulatedReplica): Replica {
    return { ...replicaOf(one.name, { models: this.#model, heardAt: this.#queue.now }), load: one.load };
  }

  #heartbeat(one: SimulatedReplica, index: number, at: number): void {
    this.#queue.add(at, () => {
      if (!one.isAlive) return;
      this.#known[index] = this.#report(one);
      this.#heartbeat(one, index, at + heartbeatMilliseconds);
    });
  }

  #sample(): void {
    this.#queue.add(this.#queue.now + sampleMilliseconds, () => {
      this.#counter.sample(
        this.#replicas.filter(({ isAlive }) => isAlive).map(({ requests }) => requests),
        this.#queue.now,
      );
      this.#sample();
    });
  }

  #lose(): void {
    const every = 10;
    // Every tenth, so that slow and fast ones go alike.
    this.#replicas.forEach((one, index) => {
      if (index % every !== every - 1) return;
      one.die();
      this.#queue.add(this.#queue.now + expiryMilliseconds, () => {
        this.#known[index] = undefined;
      });
    });
  }

  #nextSession(sessions: Iterator<Session, unknown>): void {
    const next = sessions.next();
    if (next.done === true) {
      this.#allBegun = true;
      return;
    }
    const session = next.value;
    this.#queue.add(session.at, () => {
      this.#turn(session, 0, session.sharedTokens, this.#anyIsolate());
      this.#nextSession(sessions);
    });
  }

  #turn(session: Session, turn: number, repeatedTokens: number, isolate: Isolate): void {
    const said = session.turns[turn];
    if (said === undefined) return;
    this.#open += 1;
    const { now } = this.#queue;
    const promptTokens = repeatedTokens + said.newTokens;
    const { answerTokens } = said;
    this.#place({ session, turn, beganAt: now, askedAt: now, promptTokens, repeatedTokens, answerTokens, isolate, avoid: [], waits: 0 });
  }

  #anyIsolate(): Isolate {
    const isolate = this.#isolates[this.#dice.below(this.#isolates.length)];
    if (isolate === undefined) throw new Error("there is no isolate");
    return isolate;
  }

  #place(ask: Ask): void {
    const { isolate } = ask;
    const { now } = this.#queue;
    if (now - isolate.snapshot.takenAt > snapshotMilliseconds) {
      isolate.snapshot = { takenAt: now, replicas: this.#known.filter((one) => one !== undefined) };
    }
    const { affinity } = ask.session;
    const request: PlanRequest = {
      request: { ...greedyParameters, model: version, prompt: noTokens, maxTokens: 1 },
      wishes: { affinity, avoid: ask.avoid, place: null, hedge: false },
    };
    for (const candidate of isolate.router.choose(request, isolate.snapshot)) {
      const target = this.#byName.get(candidate.name);
      if (target === undefined) continue;
      const attempt = isolate.router.begin(candidate, affinity);
      if (!target.isAlive) {
        this.#counter.triedGone(now);
        this.#queue.add(now + failureMilliseconds, () => {
          attempt.end("failure");
          this.#place({ ...ask, avoid: [...ask.avoid, candidate.name] });
        });
        return;
      }
      if (this.#offer(ask, target, attempt)) return;
      this.#counter.refused(now);
      attempt.end("full");
    }
    // What was cut may come back to where it failed, were it alone left.
    const wait = Math.min(longestWaitMilliseconds, waitMilliseconds * 2 ** ask.waits);
    this.#queue.add(now + wait, () => this.#place({ ...ask, avoid: [], waits: ask.waits + 1 }));
  }

  #offer(ask: Ask, target: SimulatedReplica, attempt: ReturnType<Router["begin"]>): boolean {
    const { session, repeatedTokens, promptTokens, answerTokens } = ask;
    const contextTokens = promptTokens + answerTokens;
    return target.offer({
      key: session.affinity,
      promptTokens,
      repeatedTokens,
      answerTokens,
      keptTokens: session.sharedTokens > 0 ? session.sharedTokens : contextTokens,
      started: (found) => this.#counter.started(ask.askedAt, this.#queue.now, repeatedTokens, found),
      firstToken: () => {
        attempt.worked();
        this.#counter.firstToken(ask.askedAt, this.#queue.now);
      },
      ended: () => {
        attempt.end("success");
        this.#open -= 1;
        const next = session.turns[ask.turn + 1];
        if (next === undefined) return;
        this.#queue.add(Math.max(this.#queue.now + 1_000, ask.beganAt + next.afterMilliseconds), () =>
          this.#turn(session, ask.turn + 1, contextTokens, ask.isolate),
        );
      },
      cut: (sampled) => {
        attempt.end("failure");
        this.#counter.cut();
        this.#place({
          ...ask,
          askedAt: this.#queue.now,
          promptTokens: promptTokens + sampled,
          answerTokens: answerTokens - sampled,
          avoid: [target.name],
        });
      },
    });
  }
}

const noTokens = new Uint32Array(1);
