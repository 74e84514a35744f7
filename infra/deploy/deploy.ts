/** `npm run deploy`: the whole service to Cloudflare. What is wrong is found before anything is made or uploaded. */
import { describeProblem } from "../checks/checkout.ts";
import { buildWebPage } from "../local/build-web-page.ts";
import { preparedModel, prepareModel } from "../local/models/prepare-model.ts";
import { engineConfigurationsFor } from "../local/models/spiking-engine.ts";
import { configurationsWith } from "../local/stack.ts";
import { isMain, reportFailure } from "../local/run.ts";
import { until } from "../../workers/waiting/within.ts";
import { askHidden } from "./ask-hidden.ts";
import { bundleOf } from "./bundles.ts";
import { deployedName } from "./deployed-name.ts";
import { deployedConfiguration, publicRole } from "./configuration.ts";
import { checkConsistency } from "./consistency.ts";
import { checkSecrets, givenSecrets } from "./given-secrets.ts";
import { deployOptions, type DeployOptions } from "./options.ts";
import { readRepository } from "./repository.ts";
import { ensureResources, namedResources } from "./resources.ts";
import { releaseAll, rollBack, writeConfiguration } from "./rollout.ts";
import { readSecrets, secretsOf, type Secrets } from "./secrets.ts";
import { deploySettings, type DeploySettings } from "./settings-file.ts";
import { variablesOf } from "./variables.ts";
import { readWorkers, type Worker } from "./workers.ts";
import { wrangler, type Wrangler } from "./wrangler.ts";

const readyTimeoutMilliseconds = 180_000;

export interface DeployHost {
  readonly run: Wrangler;
  readonly log: (line: string) => void;
  /** Undefined where nobody can be asked. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Of a public address. */
  readonly isReady: (url: string) => Promise<boolean>;
}

export async function deploy(options: DeployOptions, { run, log, ask, isReady }: DeployHost, repository = readRepository()): Promise<void> {
  const { workers, sources } = repository;
  const known = new Map(workers.map(({ role }) => [role, variablesOf(sources.get(role) ?? [])]));
  const settings = deploySettings(options.settings, known);
  if (options.rollback) {
    const names = workers.map(({ name }) => deployedName(settings, name));
    await rollBack(run, names, log);
    return;
  }

  const problems = checkConsistency(repository);
  if (problems.length > 0) throw new Error(problems.map(describeProblem).join("\n"));
  const file = readSecrets(options.secrets);
  checkSecrets(new Map(workers.map(({ role }) => [role, ofRole(file, role)])), settings);
  await checkBundles(workers, settings, run, log);
  if (options.dryRun) {
    log("\nThis was a dry run: nothing was asked of Cloudflare.");
    return;
  }

  const secrets = await givenSecrets(workers, file, { run, settings, ask });
  const resources = await ensureResources(run, namedResources(workers, settings), log);
  const releases = workers.map((worker) => ({
    role: worker.role,
    name: deployedName(settings, worker.name),
    configuration: deployedConfiguration(worker, settings, resources),
    secrets: secrets.get(worker.role) ?? new Map<string, string>(),
  }));
  const released = await releaseAll(run, releases, log);
  for (const { role, version } of released) log(`${role.padEnd(8)} version ${version}`);
  const url = addressOf(settings, released.find(({ role }) => role === publicRole)?.targets ?? []);
  if (url === undefined) return;
  log(`\nWaiting for ${url}/ready …`);
  await until(
    async () => ((await isReady(url)) ? true : undefined),
    { milliseconds: readyTimeoutMilliseconds, everyMilliseconds: 2_000 },
    () => {
      throw new Error(`${url}/ready did not answer 200 within ${String(readyTimeoutMilliseconds / 1000)} s; what it answers says why.`);
    },
  );
  log(`\n  Chat:  ${url}/\n  API:   ${url}/v1\n`);
}

/** As they are deployed, but for ids that only Cloudflare knows. */
async function checkBundles(
  workers: readonly Worker[],
  settings: DeploySettings,
  run: Wrangler,
  log: (line: string) => void,
): Promise<void> {
  const resources = namedResources(workers, settings);
  for (const worker of workers) {
    const configuration = deployedConfiguration(worker, settings, resources);
    const path = writeConfiguration({ role: worker.role, configuration });
    const { compressedBytes, assets, assetBytes } = await bundleOf(run, worker.role, path, configuration.assets?.directory);
    const code = `${String(Math.ceil(compressedBytes / 1024))} KiB compressed`;
    log(`${worker.role.padEnd(8)} ${code}, ${String(assets)} static assets of ${String(assetBytes)} bytes`);
  }
}

const ofRole = (secrets: Secrets, role: string): Secrets => new Map([...secrets].filter(([name]) => secretsOf(role).includes(name)));

function addressOf({ domain }: DeploySettings, targets: readonly string[]): string | undefined {
  return domain === undefined ? targets.find((target) => target.startsWith("https://")) : `https://${domain}`;
}

async function answersReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/ready`, { signal: AbortSignal.timeout(60_000) })).status === 200;
  } catch {
    return false;
  }
}

if (isMain(import.meta.url)) {
  try {
    const options = deployOptions(process.argv.slice(2));
    // Replicas may register any model that this deployment knows. What is taken back is cut as what was prepared here last.
    const model = options.rollback ? preparedModel() : await prepareModel(undefined, { all: true });
    if (!options.rollback) await buildWebPage();
    const workers = readWorkers(configurationsWith(engineConfigurationsFor(undefined, model)));
    const ask = process.stdin.isTTY ? askHidden : undefined;
    await deploy(options, { run: wrangler, log: (line) => console.log(line), ask, isReady: answersReady }, readRepository(workers));
  } catch (error) {
    reportFailure(error);
  }
}
