/** States through the real engine in the real runtime: a tiny model with linear and windowed layers, whose windows are soon full. */
import { stateConformance } from "../../contract/state-conformance.ts";
import { SchedulerBackend, tinyModel, tinyVocabulary } from "./tiny-model.ts";

const requestTokens = 1000;

stateConformance("a scheduler over a tiny model", async () => new SchedulerBackend(await tinyModel(requestTokens)), {
  vocabulary: Array.from({ length: tinyVocabulary }, (_unused, at) => at),
  cuts: [1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 31, 32, 33, 40, 64, 70],
  full: [40, 400],
  timeoutMilliseconds: 30_000,
});
