/** A deployment from its files to its last Worker, over a wrangler of the test; and a dry run of the real one, which bundles every Worker. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Unstable_RawConfig } from "wrangler";
import { beyondLimits } from "../../../infra/deploy/bundles.ts";
import { deploy, type DeployHost } from "../../../infra/deploy/deploy.ts";
import { deployOptions } from "../../../infra/deploy/options.ts";
import { wrangler } from "../../../infra/deploy/wrangler.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import type { ModelIndex, ModelManifest } from "../../../workers/contracts/model-files.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { fails, fakeWrangler, type Call } from "./support.ts";

const stateKeys = `1:${Buffer.alloc(32, 7).toString("base64")}`;
const apiKey = "sk-of-the-test";

function file(name: string, text: string): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

interface Uploaded {
  readonly name: string;
  readonly secrets: unknown;
}

/** An account in which a Worker can be deployed, unless its name is one of `failing`. */
function account(failing: readonly string[] = [], existing: readonly string[] = []) {
  const uploads: Uploaded[] = [];
  const secretFiles: string[] = [];
  const upload = ({ args, options }: Call): string => {
    const configuration = JSON.parse(readFileSync(args[2] ?? "", "utf8")) as { readonly name: string };
    if (args.includes("--dry-run")) return "";
    if (failing.includes(configuration.name)) throw new Error("A binding is not valid.");
    const path = args[args.indexOf("--secrets-file") + 1] ?? "";
    const hasSecrets = args.includes("--secrets-file");
    if (hasSecrets) {
      expect(statSync(path).mode & 0o777).toBe(0o600);
      secretFiles.push(path);
    }
    uploads.push({ name: configuration.name, secrets: hasSecrets ? (JSON.parse(readFileSync(path, "utf8")) as unknown) : null });
    const report = {
      type: "deploy",
      version_id: `version of ${configuration.name}`,
      targets: [`https://${configuration.name}.example.workers.dev`],
    };
    writeFileSync(options.environment?.WRANGLER_OUTPUT_FILE_PATH ?? "", `{"type":"wrangler-session"}\n${JSON.stringify(report)}\n`);
    return "";
  };
  const fake = fakeWrangler({
    deploy: upload,
    "kv namespace list": () => JSON.stringify(["spikingbrain-prefixes", "test-prefixes"].map((title) => ({ id: `id of ${title}`, title }))),
    "secret list": ({ args }) =>
      existing.length === 0
        ? fails(`There is no Worker ${args[3] ?? ""}.`)()
        : JSON.stringify(existing.map((name) => ({ name, type: "secret_text" }))),
  });
  const said: string[] = [];
  const host: DeployHost = { run: fake.run, log: (line) => said.push(line), ask: undefined, isReady: () => Promise.resolve(true) };
  return { ...fake, uploads, secretFiles, said, host };
}

/** The static assets of a configuration as it is deployed. */
function uploadOf(configuration: string): { readonly role: string; readonly files: readonly string[]; readonly bytes: number } {
  const { name = "", assets } = JSON.parse(readFileSync(configuration, "utf8")) as Unstable_RawConfig;
  const folder = assets?.directory;
  const paths = folder === undefined ? [] : readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const files = paths.filter((path) => statSync(join(folder ?? "", path)).isFile());
  const bytes = files.reduce((sum, path) => sum + statSync(join(folder ?? "", path)).size, 0);
  return { role: name.slice("spikingbrain-".length), files: files.map((path) => `/${path}`), bytes };
}

const options = (...args: string[]) => deployOptions(args);

describe("a deployment", () => {
  it("uploads each Worker after those that it is bound to, with its own secrets, and says where it is", async () => {
    const { host, uploads, secretFiles, said, calls } = account();
    const nodes = `node-1:${Buffer.alloc(32, 9).toString("base64")}`;
    await deploy(options("--secrets", file("secrets", `API_KEYS=${apiKey}\nSTATE_KEYS=${stateKeys}\nPOOL_NODES=${nodes}\n`)), host);
    expect(uploads).toEqual([
      { name: "spikingbrain-grammar", secrets: null },
      { name: "spikingbrain-engine", secrets: null },
      { name: "spikingbrain-pool", secrets: { POOL_NODES: nodes } },
      { name: "spikingbrain-session", secrets: { STATE_KEYS: stateKeys } },
      { name: "spikingbrain-gateway", secrets: { API_KEYS: apiKey } },
    ]);
    // Whatever is seen of it, secrets are not.
    expect(secretFiles.filter(existsSync)).toEqual([]);
    for (const secret of [apiKey, stateKeys, nodes]) expect([...said, ...calls].join("\n")).not.toContain(secret);
    expect(said.at(-1)).toContain("https://spikingbrain-gateway.example.workers.dev/v1");
    const first = calls.findIndex((call) => !call.includes("--dry-run"));
    expect(calls.slice(0, first)).toHaveLength(5);
  });

  it("asks for what is missing, and not for what is there from an earlier one", async () => {
    const asked: string[] = [];
    const ask = (question: string) => {
      asked.push(question.split(" ")[0] ?? "");
      return Promise.resolve(asked.length === 1 ? stateKeys : apiKey);
    };
    const first = account();
    await deploy(options(), { ...first.host, ask });
    expect(asked).toEqual(["STATE_KEYS", "API_KEYS"]);
    expect(first.uploads.at(-1)?.secrets).toEqual({ API_KEYS: apiKey });
    const second = account([], ["STATE_KEYS", "API_KEYS"]);
    await deploy(options(), second.host);
    expect(second.uploads.map(({ secrets }) => secrets)).toEqual([null, null, null, null, null]);
  });

  it.each([
    ["a secret that is missing and can't be asked for", "", "STATE_KEYS is missing"],
    ["a secret that breaks its rule", `API_KEYS=${apiKey}\nSTATE_KEYS=1:short`, "STATE_KEYS must be keys, each VERSION:BASE64 of 32 bytes"],
    ["nodes that break theirs", `API_KEYS=${apiKey}\nSTATE_KEYS=${stateKeys}\nPOOL_NODES=node-1`, "POOL_NODES must be"],
  ])("with %s uploads nothing", async (_name, secrets, message) => {
    const { host, uploads } = account();
    await expect(deploy(options("--secrets", file("secrets", secrets)), host)).rejects.toThrow(message);
    expect(uploads).toEqual([]);
  });

  it("may be open where that is meant", async () => {
    const { host, uploads } = account();
    const settings = file("settings.json", JSON.stringify({ open: true, name: "test" }));
    await deploy(options("--settings", settings, "--secrets", file("secrets", `STATE_KEYS=${stateKeys}`)), host);
    expect(uploads.at(-1)).toEqual({ name: "test-gateway", secrets: null });
  });

  it("that fails half-way says what is deployed and what is not, and may be run again", async () => {
    const { host, uploads } = account(["spikingbrain-session"]);
    const secrets = file("secrets", `API_KEYS=${apiKey}\nSTATE_KEYS=${stateKeys}`);
    await expect(deploy(options("--secrets", secrets), host)).rejects.toThrow(
      "The session Worker was not deployed; wrangler's reason is above. Deployed: grammar, engine, pool; not deployed: session, gateway.",
    );
    expect(uploads.map(({ name }) => name)).toEqual(["spikingbrain-grammar", "spikingbrain-engine", "spikingbrain-pool"]);
    const again = account();
    await deploy(options("--secrets", secrets), again.host);
    expect(again.uploads).toHaveLength(5);
  });

  it("goes back from the gateway to the grammar", async () => {
    const { run, calls } = fakeWrangler({ "rollback --name spikingbrain-pool": fails("There is no version before.") });
    const said: string[] = [];
    const back = deploy(options("--rollback"), {
      run,
      log: (line) => said.push(line),
      ask: undefined,
      isReady: () => Promise.resolve(true),
    });
    await expect(back).rejects.toThrow("Not rolled back: spikingbrain-pool;");
    expect(calls.map((call) => call.split(" ")[2])).toEqual(
      ["gateway", "session", "pool", "engine", "grammar"].map((role) => `spikingbrain-${role}`),
    );
  });
});

describe("a dry run", () => {
  it("bundles every Worker, each within Cloudflare's limits, and asks nobody", { timeout: 300_000 }, async () => {
    const said: string[] = [];
    const commands: string[] = [];
    const run: typeof wrangler = async (args, given) => {
      commands.push(args.join(" "));
      return await wrangler(args, { ...given, environment: { CLOUDFLARE_API_BASE_URL: "http://127.0.0.1:9/" } });
    };
    await deploy(options("--dry-run"), { run, log: (line) => said.push(line), ask: undefined, isReady: () => Promise.resolve(false) });
    const uploads = commands.map((command) => uploadOf(command.split(" ")[2] ?? ""));
    expect(uploads.map(({ role }) => role)).toEqual(["grammar", "engine", "pool", "session", "gateway"]);
    for (const [at, { role, files, bytes }] of uploads.entries())
      expect(said[at]).toMatch(
        new RegExp(`^${role} +[1-9]\\d* KiB compressed, ${String(files.length)} static assets of ${String(bytes)} bytes$`),
      );

    // What a Worker reads is uploaded for it, and nothing else: weights for the engine and for browsers, of models' cards and tokenizers the rest.
    const [grammar, engine, pool, session, gateway] = uploads;
    expect(pool?.files).toEqual([]);
    expect(session?.files).toEqual(grammar?.files);
    const index = JSON.parse(readFileSync(inRepository("dist/models/models.json"), "utf8")) as ModelIndex;
    const facts = index.models.flatMap(({ path, tokenizer }) => [`${path}manifest.json`, ...(tokenizer === null ? [] : [tokenizer])]);
    expect(new Set(session?.files)).toEqual(new Set(["/models.json", ...facts]));
    expect(gateway?.files).toEqual(expect.arrayContaining([...(session?.files ?? [])]));
    const { bytes, download } = JSON.parse(readFileSync(inRepository("dist/engine/model/manifest.json"), "utf8")) as ModelManifest;
    expect(engine?.bytes).toBeGreaterThan(bytes);
    expect((gateway?.bytes ?? 0) - (session?.bytes ?? 0)).toBeGreaterThan(download?.bytes ?? 0);
    expect(session?.bytes).toBeLessThan(16 << 20);
    for (const command of commands) expect(command).toMatch(/^deploy -c \S+ --dry-run /);
  });

  it.each([
    ["its compressed bytes", { compressedBytes: (10 << 20) + 1 }],
    ["the number of its static assets", { assets: 100_001 }],
    ["the bytes of one static asset", { largestAssetBytes: (25 << 20) + 1 }],
  ])("names a Worker that is too large by %s", (what, changes) => {
    const small = { bytes: 1, compressedBytes: 1, assets: 1, assetBytes: 1, largestAssetBytes: 1 };
    expect(beyondLimits("engine", small)).toEqual([]);
    expect(beyondLimits("engine", { ...small, ...changes })).toEqual([
      expect.stringContaining(`The engine Worker: ${what} may be at most`),
    ]);
  });
});
