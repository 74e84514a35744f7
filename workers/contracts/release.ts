/**
 * RPC results hold resources on the other side until they are disposed; those of an in-process backend have nothing to dispose. A stream that
 * came with one stays open: disposing lets go of the call, not of what it brought.
 */
export function release(result: object): void {
  (result as Partial<Disposable>)[Symbol.dispose]?.();
}
