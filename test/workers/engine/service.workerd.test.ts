import { createExecutionContext } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend } from "../../../workers/contracts/engine.ts";
import { EngineService } from "../../../workers/engine/index.ts";
import type { EngineEnvironment } from "../../../workers/engine/settings.ts";
import { engineSettings } from "../../../workers/engine/variables.ts";
import { bindings } from "./bindings.ts";
import { request } from "./requests.ts";

const load: EngineLoad = { loaded: true, running: 1, waiting: 0, freeStateBytes: 10, generatedTokens: 5 };
const overloaded: Outcome<ReadableStream<Uint8Array>> = {
  ok: false,
  failure: { code: "overloaded", status: 503, message: "full", retryable: true, retryAfterSeconds: 5 },
};

interface ObjectScript {
  readonly load?: Partial<EngineLoad>;
  readonly generate?: (request: GenerateRequest) => Promise<Outcome<ReadableStream<Uint8Array>>>;
}

/** A service over scripted objects; `asked` records which ones were given a request. */
function service(scripts: readonly ObjectScript[]): { service: EngineService; asked: number[] } {
  const asked: number[] = [];
  const objects = scripts.map((script, index): Pick<GenerationBackend, "load" | "generate"> => ({
    load: () => Promise.resolve({ ...load, ...script.load }),
    generate: async (given) => {
      asked.push(index);
      return await (script.generate?.(given) ?? Promise.resolve({ ok: true, value: new ReadableStream() }));
    },
  }));
  const namespace = { getByName: (name: string) => objects[Number(name.replace("engine-", ""))] };
  const environment = { ...bindings, ENGINE_OBJECTS: String(scripts.length), ENGINE_OBJECT: namespace } as unknown as EngineEnvironment;
  return { service: new EngineService(createExecutionContext(), environment), asked };
}

describe("EngineService", () => {
  it("gives the request to the less loaded object", async () => {
    for (let iteration = 0; iteration < 10; iteration += 1) {
      const { service: engine, asked } = service([{ load: { waiting: 3 } }, {}]);
      expect((await engine.generate(request())).ok).toBe(true);
      expect(asked).toEqual([1]);
    }
  });

  it("tries the other object when the first is overloaded, and says so when both are", async () => {
    const full: ObjectScript = { generate: () => Promise.resolve(overloaded) };
    const half = service([full, { load: { running: 9 } }]);
    expect((await half.service.generate(request())).ok).toBe(true);
    expect(half.asked).toEqual([0, 1]);
    const both = service([full, full]);
    expect(await both.service.generate(request())).toEqual(overloaded);
    expect(both.asked.toSorted()).toEqual([0, 1]);
  });

  it("does not try elsewhere what is wrong everywhere", async () => {
    const refusal = {
      ok: false,
      failure: { ...(overloaded as { failure: object }).failure, code: "invalid_request", status: 400 },
    } as const;
    const wrong: ObjectScript = { generate: () => Promise.resolve(refusal as Outcome<never>) };
    const { service: engine, asked } = service([wrong, wrong]);
    expect(await engine.generate(request())).toEqual(refusal);
    expect(asked).toHaveLength(1);
  });

  it("makes of an object that breaks a failure that can be retried", async () => {
    const { service: engine } = service([{ generate: () => Promise.reject(new Error("Durable Object reset")) }]);
    const outcome = await engine.generate(request());
    expect(outcome).toMatchObject({ ok: false, failure: { code: "engine_unavailable", status: 503, retryable: true } });
    expect(JSON.stringify(outcome)).not.toContain("reset");
  });

  it("says of a mistake in code that it is one", async () => {
    const { service: engine } = service([{ generate: () => Promise.reject(new TypeError("sequence is undefined")) }]);
    const outcome = await engine.generate(request());
    expect(outcome).toMatchObject({ ok: false, failure: { code: "internal_error", status: 500, retryable: true } });
    expect(JSON.stringify(outcome)).not.toContain("sequence");
  });

  it("sums the load of all objects", async () => {
    const { service: engine } = service([{}, { load: { loaded: false, running: 2, waiting: 4, generatedTokens: 7 } }, {}]);
    expect(await engine.load()).toEqual({ loaded: true, running: 4, waiting: 4, freeStateBytes: 30, generatedTokens: 17 });
  });
});

describe("variables", () => {
  const odd = ["NaN", " ", "-1", "1e9", "1.5", "abc", "0", "9".repeat(400), "0x10"];
  const rules: Record<string, RegExp> = {
    ENGINE_OBJECTS: /^ENGINE_OBJECTS must be a whole number of objects from 1 to 1000; it is "/,
    MEMORY_LIMIT_MIB: /^MEMORY_LIMIT_MIB must be a whole number of MiB from 1 to 4095; it is "/,
    REQUEST_TOKENS: /^REQUEST_TOKENS must be a whole number of tokens from 1 to 16777216; it is "/,
    SPIKES: /^SPIKES must be one of off, paper, released; it is "/,
  };
  const cases = Object.entries(rules).flatMap(([name, rule]) => odd.map((value) => [name, value, rule] as const));

  it.each(cases)("%s=%j is named by every call, and logged", async (name, value, rule) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const environment = { ...bindings, [name]: value };
    const engine = new EngineService(createExecutionContext(), environment);
    for (const outcome of [await engine.models(), await engine.ready(), await engine.generate(request())]) {
      const failure = outcome.ok ? undefined : outcome.failure;
      expect(failure).toMatchObject({ code: "configuration_invalid", status: 500, retryable: false });
      expect(failure?.message).toMatch(rule);
    }
    expect(log.mock.calls.flat().join("\n")).toContain(`"event":"configuration_invalid","cause":"${name} must`);
    log.mockRestore();
  });

  it("have their defaults where nothing is set, and ranges", () => {
    expect(engineSettings({ SPIKES: "" })).toEqual({
      objects: 1,
      memoryLimitBytes: 121 * 2 ** 20,
      requestTokens: 131_072,
      spikes: undefined,
      stepsAtOnce: 0,
    });
    const most = { ENGINE_OBJECTS: "1000", MEMORY_LIMIT_MIB: "4095", REQUEST_TOKENS: "16777216", SPIKES: "paper" };
    expect(engineSettings(most)).toEqual({
      objects: 1000,
      memoryLimitBytes: 4095 * 2 ** 20,
      requestTokens: 2 ** 24,
      spikes: "paper",
      stepsAtOnce: 0,
    });
  });
});
