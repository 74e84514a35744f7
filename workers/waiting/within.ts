/** Waits that end, in every runtime alike. A request by `fetch` takes `AbortSignal.timeout` instead, which also ends the request. */

/** The promise's value, or what `late` gives or throws when that takes longer; a rejection is thrown, one that comes late is heard by nobody. */
export async function within<T, Late>(promise: Promise<T>, milliseconds: number, late: () => Late): Promise<T | Late> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<typeof isLate>((resolve) => {
    timer = setTimeout(resolve, milliseconds, isLate);
  });
  try {
    const first = await Promise.race([promise, over]);
    return first === isLate ? late() : first;
  } finally {
    clearTimeout(timer);
  }
}

const isLate = Symbol("late");

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export interface LookOptions {
  /** How long it looks on. */
  readonly milliseconds: number;
  /** Between two looks. */
  readonly everyMilliseconds: number;
}

/** What `look` finds, as soon as that is no longer undefined, or what `late` gives or throws after a while; what `look` throws is thrown. */
export async function until<T, Late>(
  look: () => T | undefined | Promise<T | undefined>,
  { milliseconds, everyMilliseconds }: LookOptions,
  late: () => Late,
): Promise<T | Late> {
  const begin = Date.now();
  while (true) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() - begin > milliseconds) return late();
    await pause(everyMilliseconds);
  }
}
