/** What ranks beside the first do: whatever the first one does, on their part of the model. */
import { engineErrorCode, type RankEngine } from "../engine-surface.ts";
import type { Follower, RankError, RankMemory } from "./calls.ts";
import { brokenCode } from "./exchange.ts";

/** Ends the loop. */
export const endCall = "end";

/** How an error is told to the other ranks. */
export function leavingCode(error: unknown): number {
  const codes = ["invalid_gguf", "unsupported_model", "invalid_state", "state_lost", "invalid_argument", "out_of_memory"];
  const code = engineErrorCode(error);
  return code === undefined ? brokenCode : codes.indexOf(code) + 1;
}

export function rankError(error: unknown): RankError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const code = engineErrorCode(error);
  return { name: error.name, message: error.message, ...(code === undefined ? {} : { code }) };
}

/** Checked by the engine, which throws where one is not what it must be. */
type Parameters = readonly [never, never, never];

type Result = { readonly json?: unknown; readonly bytes?: Uint8Array };

const tokensOf = (part: Uint8Array): Uint32Array => new Uint32Array(part.slice().buffer);

/** Each takes a call's parameters and bytes to the engine; what the first rank alone needs of the result comes back. */
const methods: Readonly<Record<string, (engine: RankEngine, parameters: Parameters, part: Uint8Array) => Result>> = {
  open: (engine, [parameters]) => ({ json: engine.open(parameters) }),
  feed: (engine, [sequence], part) => (engine.feed(sequence, tokensOf(part)), {}),
  force: (engine, [sequence], part) => (engine.force(sequence, tokensOf(part)), {}),
  step: (engine, _, part) => (engine.step(tokensOf(part)), {}),
  readLogits: (engine, [sequence, count]) => (engine.readLogits(sequence, count), {}),
  spikeCounts: (engine, [sequence]) => ({ json: JSON.parse(engine.spikeCounts(sequence)) as unknown }),
  salientPositions: (engine, [sequence, layer, head]) => ({ json: [...engine.salientPositions(sequence, layer, head)] }),
  evict: (engine, [sequence]) => (engine.evict(sequence), {}),
  fork: (engine, [sequence]) => ({ json: engine.fork(sequence) }),
  beginSave: (engine, [sequence, fromPage, mode]) => ({ json: engine.beginSave(sequence, fromPage, mode) }),
  readSaved: (engine, [sequence, most]) => ({ bytes: engine.readSaved(sequence, most) }),
  endSave: (engine, [sequence]) => (engine.endSave(sequence), {}),
  beginRestore: (engine, [sequence]) => (engine.beginRestore(sequence, new Uint32Array(0)), {}),
  pushState: (engine, [sequence], part) => (engine.pushState(sequence, part), {}),
  endRestore: (engine, [sequence]) => ({ json: engine.endRestore(sequence) }),
  close: (engine, [sequence]) => (engine.close(sequence), {}),
};

/** `make` loads the engine as the first call; `leave` tells the others that this rank cannot go on. */
export function follow(follower: Follower, make: () => RankEngine, leave: (code: number) => void): void {
  let engine: RankEngine | undefined;
  for (;;) {
    const { method, parameters, part, isMine, sampled } = follower.next();
    const memory = (): RankMemory => ({ memoryBytes: engine?.memoryBytes() ?? 0, freeStateBytes: engine?.freeStateBytes() ?? 0 });
    try {
      if (method === endCall) return;
      for (const [sequence, token] of sampled) engine?.accept(sequence, token);
      if (!isMine) {
        follower.answer(memory(), {});
        continue;
      }
      if (method === "finish") {
        engine = make();
        follower.answer(memory(), { json: JSON.parse(engine.describe()) as unknown });
        continue;
      }
      const run = methods[method];
      if (run === undefined || engine === undefined) throw new Error(`a rank has no method '${method}'`);
      follower.answer(memory(), run(engine, parameters as unknown as Parameters, part));
    } catch (error) {
      leave(leavingCode(error));
      follower.answer(memory(), { error: rankError(error) });
    }
  }
}
