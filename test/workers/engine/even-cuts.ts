/** A plan of stages as tests have it: the vocabulary where requests are, and the layers' halves in so many stages. */
import type { Cut } from "../../../workers/contracts/stages.ts";

export function evenCuts(sublayers: number, vocabulary: number, stages: number): Cut[] {
  const at = (stage: number): number => Math.round((sublayers * stage) / stages);
  const layers = Array.from({ length: stages }, (_, stage): Cut => ({
    embedding: [0, 0],
    sublayers: [at(stage), at(stage + 1)],
    head: [0, 0],
  }));
  return [{ embedding: [0, vocabulary], sublayers: [0, 0], head: [0, vocabulary] }, ...layers];
}
