import { useState } from "preact/hooks";
import type { Failure } from "../api/failure.ts";

interface Attempt {
  readonly busy: boolean;
  /** Why the last one failed. */
  readonly failure: Failure | null;
  /** Does something, unless something is being done already; `done` comes after a success. */
  readonly run: (act: () => Promise<Failure | null>, done?: () => void) => void;
}

/** What a dialog asks of the server: one thing at a time, its failure shown in place. */
export function useAttempt(): Attempt {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  return {
    busy,
    failure,
    run(act, done) {
      if (busy) return;
      setBusy(true);
      setFailure(null);
      void act().then((result) => {
        setBusy(false);
        setFailure(result);
        if (result === null) done?.();
      });
    },
  };
}
