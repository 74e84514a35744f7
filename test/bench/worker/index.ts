/**
 * The gateway as it is, and beside it two ways around it in the same Worker: what a request costs before anybody does anything (`/direct/empty`),
 * and the engine's own stream as the gateway would receive it (`/direct/generate`). The gateway's share is the difference. `/direct/load` is what
 * the engine does at the moment; `/direct/forget` deletes what is kept for the key of the request, so that benchmarks do not fill the disk.
 */
import { greedyParameters, type GenerateRequest, type GenerationBackend } from "../../../workers/contracts/engine.ts";
import { createApp } from "../../../workers/gateway/app.ts";
import type { Environment } from "../../../workers/gateway/environment.ts";
import { sentKey } from "../../../workers/gateway/middleware/api-key.ts";
import { tenantOf } from "../../../workers/gateway/middleware/tenant.ts";

/** Body of `POST /direct/generate`. */
interface DirectRequest {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
}

interface BenchEnvironment extends Environment {
  readonly ENGINE: GenerationBackend;
}

const gateway = createApp();

export default {
  async fetch(request: Request, environment: BenchEnvironment, context: ExecutionContext): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/direct/empty":
        return Response.json({ status: "ok" });
      case "/direct/models":
        return Response.json(await environment.ENGINE.models());
      case "/direct/load":
        return Response.json(await environment.ENGINE.load());
      case "/direct/generate":
        return await generate(environment.ENGINE, await request.json<DirectRequest>());
      case "/direct/forget":
        return await forget(environment, sentKey(request.headers));
      default:
        return await gateway.fetch(request, environment, context);
    }
  },
} satisfies ExportedHandler<BenchEnvironment>;

async function forget({ SESSION }: Environment, key: string): Promise<Response> {
  const outcome = await SESSION.deleteTenant(await tenantOf(key));
  return outcome.ok ? new Response() : Response.json(outcome.failure, { status: outcome.failure.status });
}

async function generate(engine: GenerationBackend, { prompt, maxTokens }: DirectRequest): Promise<Response> {
  const models = await engine.models();
  const [model] = models.ok ? models.value : [];
  if (model === undefined) return Response.json(models, { status: 503 });
  const { id, digest, tokenizerDigest } = model;
  const request: GenerateRequest = {
    ...greedyParameters,
    model: { id, digest, tokenizerDigest },
    requestId: "bench",
    prompt: Uint32Array.from(prompt),
    maxTokens,
  };
  const outcome = await engine.generate(request);
  if (outcome.ok) return new Response(outcome.value, { headers: { "content-type": "application/x-ndjson" } });
  return Response.json(outcome.failure, { status: outcome.failure.status });
}
