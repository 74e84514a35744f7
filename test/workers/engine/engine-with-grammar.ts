/** The engine Worker and the grammar Worker's entrypoint, for tests that run both in one isolate. */
export { default, EngineObject, EngineService } from "../../../workers/engine/index.ts";
export { GrammarEntrypoint } from "../../../workers/grammar/index.ts";
