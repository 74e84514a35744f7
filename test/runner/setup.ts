import { existsSync } from "node:fs";
import { buildWebPage } from "../../infra/local/build-web-page.ts";
import { prepareModel } from "../../infra/local/models/prepare-model.ts";
import { ensureRust } from "../../infra/local/rust.ts";
import { run } from "../../infra/local/run.ts";
import { setupClients, setupPython, setupVllm } from "../../infra/local/python/setup-python.ts";
import type { Requirement } from "./suites.ts";

/** What is set up beside one another: most of it waits for a network or unpacks in one thread. In a row stands what one environment or folder is made of. */
const rows: readonly (readonly Requirement[])[] = [
  ["vllm"],
  ["python", "torch", "parity"],
  ["model", "web page"],
  ["rust"],
  ["chromium"],
  ["clients"],
];

/** Sets up what is asked for; answers why for what could not be. */
export async function setUpAll(
  wanted: ReadonlySet<Requirement>,
  one: (requirement: Requirement) => Promise<void> = setUp,
): Promise<ReadonlyMap<Requirement, string>> {
  const broken = new Map<Requirement, string>();
  await Promise.all(
    rows.map(async (row) => {
      for (const requirement of row.filter((each) => wanted.has(each))) {
        try {
          await one(requirement);
        } catch (error) {
          broken.set(requirement, error instanceof Error ? error.message : String(error));
        }
      }
    }),
  );
  return broken;
}

async function setUp(requirement: Requirement): Promise<void> {
  switch (requirement) {
    case "model":
      await prepareModel(undefined, { all: true });
      return;
    case "web page":
      await buildWebPage();
      return;
    case "python":
      await setupPython("test");
      return;
    case "torch":
      await setupPython("test");
      await setupPython("model");
      return;
    case "parity":
      await setupPython("parquet");
      await setupPython("parity");
      return;
    case "vllm":
      await setupVllm();
      return;
    case "clients":
      await setupClients();
      return;
    case "rust":
      await ensureRust();
      return;
    case "chromium":
      process.env.CHROMIUM_PATH = await ensureChromium();
      return;
  }
}

const debianChromium = "/usr/bin/chromium";

async function ensureChromium(): Promise<string> {
  const configured = process.env.CHROMIUM_PATH;
  if (configured !== undefined && configured !== "") {
    if (!existsSync(configured)) throw new Error(`CHROMIUM_PATH: "${configured}" does not exist; it must be a Chromium executable.`);
    return configured;
  }
  if (existsSync(debianChromium)) return debianChromium;
  const advice = "Install Chromium (Debian: apt-get install chromium) or set CHROMIUM_PATH to its executable.";
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) throw new Error(`The tests of the web page need Chromium. ${advice}`);
  console.log("Installing chromium …");
  const quiet = { env: { DEBIAN_FRONTEND: "noninteractive" } };
  await run("apt-get", ["update", "-q"], quiet);
  await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", "chromium"], quiet);
  if (!existsSync(debianChromium)) throw new Error(`apt-get could not install chromium. ${advice}`);
  return debianChromium;
}
