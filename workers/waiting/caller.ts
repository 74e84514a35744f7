/** Both ends of a `Caller` (`workers/contracts/caller.ts`). */
import { RpcTarget } from "cloudflare:workers";

export class SignalledCaller extends RpcTarget {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    super();
    this.#signal = signal;
  }

  left(): Promise<void> {
    const signal = this.#signal;
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else
        signal.addEventListener(
          "abort",
          () => {
            resolve();
          },
          { once: true },
        );
    });
  }
}

/** Calls that are answered sooner never ask: asking is a call, too. */
const askAfterMilliseconds = 250;

/** `work`, and `onLeft` should its caller go before it is done. */
export async function whileWaiting<T>(
  caller: Pick<SignalledCaller, "left"> | undefined,
  onLeft: () => void,
  work: () => Promise<T>,
): Promise<T> {
  let isDone = false;
  const leave = () => {
    if (!isDone) onLeft();
  };
  const timer = caller === undefined ? undefined : setTimeout(() => void caller.left().then(leave, leave), askAfterMilliseconds);
  try {
    return await work();
  } finally {
    isDone = true;
    clearTimeout(timer);
  }
}
