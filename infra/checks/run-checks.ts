/** Runs checks two at a time, as many as the machines of CI have cores: most of them are one thread. */

export interface CheckResult {
  readonly isPassed: boolean;
  /** What it had to say, whole. */
  readonly output: string;
}

export interface TimedResult extends CheckResult {
  readonly seconds: number;
}

export interface Check {
  readonly name: string;
  /** What only one check at a time can have, such as a folder that cargo locks while it builds there. */
  readonly alone?: string;
  run(): Promise<CheckResult>;
}

const lanes = 2;

/** `onEnd` is called with each as it ends, so that what two of them say is not mixed. A check that throws has failed with that message. */
export async function runChecks(checks: readonly Check[], onEnd: (check: Check, result: TimedResult) => void): Promise<void> {
  const waiting = [...checks];
  const taken = new Set<string>();
  const running = new Set<Promise<void>>();

  const isFree = ({ alone }: Check) => alone === undefined || !taken.has(alone);
  const start = async (check: Check): Promise<void> => {
    if (check.alone !== undefined) taken.add(check.alone);
    const begin = performance.now();
    const result = { ...(await settled(check)), seconds: (performance.now() - begin) / 1000 };
    if (check.alone !== undefined) taken.delete(check.alone);
    onEnd(check, result);
  };

  while (waiting.length > 0 || running.size > 0) {
    const at = running.size < lanes ? waiting.findIndex(isFree) : -1;
    const [next] = at < 0 ? [] : waiting.splice(at, 1);
    if (next === undefined) await Promise.race(running);
    else {
      const run = start(next).finally(() => running.delete(run));
      running.add(run);
    }
  }
}

async function settled(check: Check): Promise<CheckResult> {
  try {
    return await check.run();
  } catch (cause) {
    return { isPassed: false, output: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** As one shows it: its name, how long it took, how it ended where that is not well, and what it said. */
export function describeResult({ name }: Check, { isPassed, output, seconds }: TimedResult): string {
  const said = output.trimEnd();
  return `- ${name} (${seconds.toFixed(0)} s)${isPassed ? "" : ": failed"}${said === "" ? "" : `\n${said}`}`;
}
