/**
 * Interleaves several choices in the order their events become ready. Each source has at most one event outstanding, so a reader
 * that stops reading stops them all; the first failure ends the merge with it.
 */
export async function* merge<T>(sources: readonly AsyncGenerator<T, void, undefined>[]): AsyncGenerator<T, void, undefined> {
  type Source = (typeof sources)[number];
  const ready: { readonly source: Source; readonly result: PromiseSettledResult<IteratorResult<T, void>> }[] = [];
  let wake: () => void = () => undefined;
  const advance = async (source: Source): Promise<void> => {
    const [result] = await Promise.allSettled([source.next()]);
    ready.push({ source, result });
    wake();
  };
  let open = sources.length;
  try {
    for (const source of sources) void advance(source);
    while (open > 0) {
      const next = ready.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      if (next.result.status === "rejected") throw next.result.reason;
      if (next.result.value.done === true) {
        open--;
        continue;
      }
      yield next.result.value.value;
      void advance(next.source);
    }
  } finally {
    // Not awaited: `return` waits for an outstanding read, and the caller's abort signal is what frees that one.
    for (const source of sources) source.return().catch(() => undefined);
  }
}
