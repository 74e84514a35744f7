import { readFileSync } from "node:fs";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { kCurrentWorker, Response } from "miniflare";
import { defineConfig } from "vitest/config";
import { unstable_readConfig } from "wrangler";
import type {} from "./test/workers/engine/provided.ts";
import type {} from "./test/workers/pool/provided.ts";

const modelAsset = (path: string) => new Response(readFileSync(`dist/models${path}`));

const gateway = unstable_readConfig({ config: "./wrangler.toml" });

/** The engine Worker with the served model's files; the grammar Worker's part is beside it, in the same isolate. */
const engineWithGrammar = () =>
  cloudflareTest({
    wrangler: { configPath: "./workers/engine/wrangler.toml" },
    main: "./test/workers/engine/engine-with-grammar.ts",
    additionalExports: { GrammarEntrypoint: "WorkerEntrypoint" },
    miniflare: {
      serviceBindings: {
        GRAMMAR: { name: kCurrentWorker, entrypoint: "GrammarEntrypoint" },
        ASSETS: (request: { readonly url: string }) => modelAsset(new URL(request.url).pathname),
      },
    },
  });

/** What a test polls for comes in milliseconds on a free machine; a busy one may take its time. */
const patient = { poll: { timeout: 15_000 } };
/** Files at a time: as many as the machines of CI have cores, of which vitest would leave one idle. */
const besideOneAnother = { maxWorkers: 2 };

// Projects. node: libraries and scripts. workerd: the gateway and the session Worker inside the real runtime. engine: the engine Worker there, under the memory cap test/runner/suites.ts sets. edge: the whole stack over HTTP. scripted: the same over an engine that tests script, and that mostly waits. page: the whole stack in Chromium. vllm: the pool's backend in the real runtime, against a replica on vLLM. pool: the whole stack with replicas on vLLM.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          ...besideOneAnother,
          testTimeout: 60_000,
          expect: patient,
          include: [
            "test/workers/tokenizer/**/*.test.ts",
            "test/workers/engine/**/!(*.workerd).test.ts",
            "test/workers/grammar/**/*.test.ts",
            "test/workers/waiting/**/*.test.ts",
            "test/infra/**/*.test.ts",
            "test/simulation/**/*.test.ts",
            "test/wasm/**/*.test.ts",
          ],
        },
      },
      {
        plugins: [
          cloudflareTest({
            // The gateway's own runtime settings; its bindings lead to an engine that tests can script and to a tiny model.
            main: "./test/workers/support/gateway-worker.ts",
            additionalExports: {
              ScriptedEngine: "WorkerEntrypoint",
              ScriptedEngineObject: "DurableObject",
              FixtureAssets: "WorkerEntrypoint",
              GrammarEntrypoint: "WorkerEntrypoint",
              ReplicaNetwork: "WorkerEntrypoint",
              PoolService: "WorkerEntrypoint",
              SessionService: "WorkerEntrypoint",
              PoolObject: "DurableObject",
              DirectoryObject: "DurableObject",
              SessionObject: "DurableObject",
              ShareObject: "DurableObject",
              StreamObject: "DurableObject",
              TenantObject: "DurableObject",
            },
            miniflare: {
              compatibilityDate: gateway.compatibility_date ?? "",
              compatibilityFlags: gateway.compatibility_flags,
              // As wrangler has it without being told.
              modulesRules: [{ type: "CompiledWasm", include: ["**/*.wasm"] }],
              durableObjects: {
                ENGINE_OBJECT: "ScriptedEngineObject",
                POOL_OBJECT: { className: "PoolObject", useSQLite: true },
                DIRECTORY_OBJECT: { className: "DirectoryObject", useSQLite: true },
                SESSION_OBJECT: { className: "SessionObject", useSQLite: true },
                SHARE_OBJECT: { className: "ShareObject", useSQLite: true },
                STREAM_OBJECT: { className: "StreamObject", useSQLite: true },
                TENANT_OBJECT: { className: "TenantObject", useSQLite: true },
              },
              // Keys for tests only, and little patience: nobody waits ten seconds for a client that never comes back.
              bindings: {
                STATE_KEYS: `1:${Buffer.alloc(32, 7).toString("base64")}`,
                STREAM_GRACE_SECONDS: "0.1",
                POOL_NODES: `one:${Buffer.alloc(32, 1).toString("base64")},two:${Buffer.alloc(32, 2).toString("base64")}`,
                POOL_HOSTS: "gpu.example.com,*.pool.example.com",
                POOL_REFRESH_SECONDS: "0.05",
              },
              r2Buckets: ["SNAPSHOTS"],
              kvNamespaces: ["PREFIXES"],
              serviceBindings: {
                ENGINE: { name: kCurrentWorker, entrypoint: "ScriptedEngine" },
                POOL_NETWORK: { name: kCurrentWorker, entrypoint: "ReplicaNetwork" },
                POOL: { name: kCurrentWorker, entrypoint: "PoolService" },
                GRAMMAR: { name: kCurrentWorker, entrypoint: "GrammarEntrypoint" },
                SESSION: { name: kCurrentWorker, entrypoint: "SessionService" },
                ASSETS: { name: kCurrentWorker, entrypoint: "FixtureAssets" },
              },
            },
          }),
        ],
        test: {
          name: "workerd",
          ...besideOneAnother,
          testTimeout: 30_000,
          hookTimeout: 60_000,
          expect: patient,
          provide: { chaos: { streams: Number(process.env["CHAOS_STREAMS"] ?? 200), seed: Number(process.env["CHAOS_SEED"] ?? 14) } },
          include: [
            "test/workers/*.test.ts",
            "test/workers/{gateway,contracts,encoding,observe,pool,session,waiting}/**/*.test.ts",
            "test/contract/**/*.test.ts",
          ],
        },
      },
      {
        plugins: [engineWithGrammar()],
        test: {
          name: "engine",
          include: ["test/workers/engine/**/*.workerd.test.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          expect: patient,
          // Tests in the runtime read no files.
          provide: { constantStateModel: readFileSync("test/golden/seven.gguf").toString("base64") },
        },
      },
      {
        plugins: [engineWithGrammar()],
        test: {
          name: "vllm",
          include: ["test/vllm/pool/**/*.test.ts"],
          globalSetup: ["test/vllm/pool/setup.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: patient,
        },
      },
      {
        test: {
          name: "edge",
          include: ["test/edge/*.test.ts"],
          globalSetup: ["test/support/edge-setup.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: patient,
        },
      },
      {
        test: {
          name: "scripted",
          include: ["test/edge/scripted/*.test.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: patient,
        },
      },
      { test: { name: "pool", include: ["test/pool/**/*.test.ts"], fileParallelism: false, expect: patient } },
      { test: { name: "page", include: ["test/page/**/*.test.ts"], fileParallelism: false, testTimeout: 120_000, expect: patient } },
    ],
  },
});
