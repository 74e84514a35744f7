/** A scripted engine in the real one's place: same name, same entrypoint, same class, and a script that `use` writes. */
import { engine, ScriptedEngine, ScriptedEngineObject } from "../../../workers/support/gateway-worker.ts";
import type { BackendScript } from "../../../workers/support/toy-backend.ts";
import "../../../workers/support/toy-grammar.ts";

/** A model that is told of functions reads more than the tiny model's own context, one token a letter. */
const contextLength = 8192;
engine.use({ contextLength });

export class EngineObject extends ScriptedEngineObject {
  use(script: BackendScript): void {
    engine.use({ contextLength, ...script });
  }
}

export class EngineService extends ScriptedEngine {
  async use(script: BackendScript): Promise<void> {
    const object = this.env.ENGINE_OBJECT.getByName("engine") as unknown as { use(script: BackendScript): Promise<void> };
    await object.use(script);
  }
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
