/** What bounds a scheduler, and what it needs of its surroundings. */
import type { GrammarService } from "../contracts/constraint.ts";
import { mostAnswering } from "./step-plan.ts";

export interface SchedulerLimits {
  /** Prompt tokens of one step; bounds how long running streams wait for a newcomer's prompt. */
  readonly prefillTokensPerStep: number;
  /** Sequences that hold states, where they are all of one share; others' first ones come beyond it (`shares.ts`). */
  readonly running: number;
  /** Requests that may wait; one more is refused. Of one share three quarters of them, so that another one's find a place. */
  readonly waiting: number;
  /** Tokens of their prompts together: what they take of the heap. Of one share three quarters of them. */
  readonly waitingTokens: number;
  readonly waitingMilliseconds: number;
  /** What is read in the background stands back so long from when it came; where it waits then, it is served as others are. */
  readonly backgroundMilliseconds: number;
  /** A reader that takes nothing for this long loses its generation. */
  readonly stallMilliseconds: number;
  /** A reader that takes nothing for this long gives its memory to one that waits. */
  readonly stallEvictionMilliseconds: number;
  /** Saving a state whose answer has ended may go on for so long while another one waits for its memory. */
  readonly savingMilliseconds: number;
  /** Room kept for each running sequence's next tokens when another one is admitted. */
  readonly growthTokens: number;
  /** Iterations of the event loop after a pass that read of a prompt or brought a first token. */
  readonly promptIterations: number;
  /** And after a long pass at the most, while others have something to do in them. */
  readonly mostIterations: number;
}

export const defaultLimits: SchedulerLimits = {
  prefillTokensPerStep: 64,
  running: mostAnswering,
  waiting: 342,
  waitingTokens: 1 << 20,
  waitingMilliseconds: 120_000,
  backgroundMilliseconds: 30_000,
  stallMilliseconds: 120_000,
  stallEvictionMilliseconds: 1000,
  savingMilliseconds: 3000,
  growthTokens: 32,
  promptIterations: 6,
  mostIterations: 16,
};

/** What the scheduler needs of its surroundings. */
export interface SchedulerHost {
  /** Keeps the object alive until the promise settles. */
  waitUntil(promise: Promise<unknown>): void;
  /** Milliseconds. */
  now(): number;
  /** Lets the event loop run one iteration. */
  yield(): Promise<void>;
  sleep(milliseconds: number): Promise<void>;
  /** Called while there is work: asks the runtime for more of the time that one call may compute. */
  renew(): void;
  /** Who follows texts that are held to constraints; without it none is taken. */
  readonly grammar?: GrammarService | undefined;
  /** The engine failed unexpectedly; it can't be trusted with anything more. */
  onDefect(error: unknown): void;
}
