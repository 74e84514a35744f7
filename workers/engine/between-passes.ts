/**
 * What happens between two passes of the engine: iterations of the event loop in which requests come, tokens go and states move.
 * Requests come and tokens go through other Workers, which may share this thread: were the next pass computed at once, they would wait for one
 * at every hop.
 */
import type { SchedulerHost, SchedulerLimits } from "./scheduler-limits.ts";
import { mostAnswering } from "./step-plan.ts";

/** A pass of so many tokens takes a tenth of a second on a slow machine. */
const longPassTokens = 8;
/** An iteration of the event loop in which nobody else does anything. */
const quietMilliseconds = 2;
/** How long a pass waits for chunks that are on their way between Workers. */
const mostEmptyIterations = 3;

export class BetweenPasses {
  readonly #host: Pick<SchedulerHost, "now" | "yield">;
  readonly #limits: Pick<SchedulerLimits, "promptIterations" | "mostIterations">;
  /** How many chunks of states may move before the next pass: they take about as long as tokens do, and the last pass took so many. */
  #chunksLeft = 0;
  /** Iterations of the event loop since a chunk moved. */
  #emptyIterations = 0;
  /** Whether the last pass read tokens of a prompt, or computed the first token of an answer. */
  #readPrompt = false;
  /** How many tokens the last pass computed; 0 once the event loop has had its iterations for it. */
  #passTokens = 0;

  constructor(host: Pick<SchedulerHost, "now" | "yield">, limits: Pick<SchedulerLimits, "promptIterations" | "mostIterations">) {
    this.#host = host;
    this.#limits = limits;
  }

  /** A pass is computed: pairs of a handle and a number of tokens, as the engine takes them, while so many states are on their way. */
  passed(plan: Uint32Array, statesOnTheWay: number): void {
    const counts = plan.filter((_, at) => at % 2 === 1);
    this.#readPrompt = counts.some((count) => count > 1);
    this.#passTokens = counts.reduce((sum, count) => sum + count, 0);
    this.#chunksLeft = Math.max(Math.min(this.#passTokens, mostAnswering), statesOnTheWay) - 1;
  }

  /** The pass computed the first token of an answer. */
  beganAnswer(): void {
    this.#readPrompt = true;
  }

  /**
   * An iteration costs a millisecond where nobody else has anything to do: little beside a pass that reads of a prompt, much beside one
   * of a token each. After a long pass the others have iterations until one of them took no longer than that.
   */
  async yieldToOthers(): Promise<void> {
    const fewest = this.#readPrompt ? this.#limits.promptIterations : 1;
    const most = this.#passTokens >= longPassTokens ? this.#limits.mostIterations : fewest;
    this.#readPrompt = false;
    this.#passTokens = 0;
    for (let iteration = 1, isBusy = true; iteration <= fewest || (iteration <= most && isBusy); iteration += 1) {
      const begun = this.#host.now();
      await this.#host.yield();
      isBusy = this.#host.now() - begun > quietMilliseconds;
    }
  }

  /**
   * Whether states have the next iteration too, and not a pass: as many chunks move between two passes as the first one had tokens, so that a state
   * of many chunks does not wait for a pass at each of them, and those who answer never lose more than half of the time. What comes from
   * elsewhere may need an iteration or two of the event loop to be here. `moved`: chunks that moved just now.
   */
  async givesStatesMore(moved: number, statesOnTheWay: number): Promise<boolean> {
    if (this.#chunksLeft <= 0 || statesOnTheWay === 0) return false;
    this.#emptyIterations = moved > 0 ? 0 : this.#emptyIterations + 1;
    if (this.#emptyIterations > mostEmptyIterations) return false;
    this.#chunksLeft -= Math.max(1, moved);
    await this.#host.yield();
    return true;
  }
}
