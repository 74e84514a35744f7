/** The gateway as it is, over a tiny model and a scripted engine; `/scripted/*` writes the script, breaks things and reads counters. */
import type { EngineLoad } from "../../../../workers/contracts/engine.ts";
import { createApp } from "../../../../workers/gateway/app.ts";
import type { Environment } from "../../../../workers/gateway/environment.ts";
import type { BackendScript } from "../../../workers/support/toy-backend.ts";

export { FixtureAssets } from "../../../workers/support/gateway-worker.ts";

interface ScriptedEnvironment extends Environment {
  readonly ENGINE: { use(script: BackendScript): Promise<void>; load(): Promise<EngineLoad> };
  readonly SESSION: Environment["SESSION"] & { lose(stream: string): Promise<void> };
}

const gateway = createApp();
export default {
  async fetch(request: Request, environment: ScriptedEnvironment, context: ExecutionContext): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/scripted/use":
        await environment.ENGINE.use(await request.json<BackendScript>());
        return new Response();
      case "/scripted/load":
        return Response.json(await environment.ENGINE.load());
      case "/scripted/lose":
        await environment.SESSION.lose(await request.text());
        return new Response();
      default:
        return await gateway.fetch(request, environment, context);
    }
  },
} satisfies ExportedHandler<ScriptedEnvironment>;
