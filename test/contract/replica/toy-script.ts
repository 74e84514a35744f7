/** The toy model as a script of the pool's backend for tests. */
import type { FakeScript } from "../../../workers/pool/backends/fake.ts";
import { ToyGeneration } from "../../workers/support/toy-generation.ts";

/** Counts its work as a replica does. */
export function toyScript(counts: { running: number; generatedTokens: number }, vocabularySize: number): FakeScript {
  return {
    async *answers({ request: { resume: _resume, ...request } }, gone) {
      counts.running++;
      try {
        const course = { vocabularySize, endOfTurn: 0, rejectsState: false };
        for await (const output of new ToyGeneration(request, course, () => gone.aborted).run()) {
          if (typeof output === "string") throw new Error(`the script has no ${output}`);
          if (output.type === "token") counts.generatedTokens++;
          yield output;
        }
      } finally {
        counts.running--;
      }
    },
  };
}
