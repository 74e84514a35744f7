import { capture } from "../run.ts";

const minimumMinor = 11;

/** The interpreter set-up uses: `PYTHON`, or `python3` on PATH; 3.11 or newer. */
export async function findPython(): Promise<string> {
  const python = process.env.PYTHON === undefined || process.env.PYTHON === "" ? "python3" : process.env.PYTHON;
  let version: string;
  try {
    const result = await capture(python, ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    version = result.output.trim();
  } catch (cause) {
    throw new Error(
      `\`${python}\` cannot be started. Install Python 3.${String(minimumMinor)} or newer with pip, or set PYTHON to its path.`,
      { cause },
    );
  }
  if (!/^\d+\.\d+$/.test(version)) throw new Error(`PYTHON must be a Python interpreter; "${python}" does not say its version.`);
  const [major, minor] = version.split(".").map(Number);
  if (major !== 3 || minor === undefined || minor < minimumMinor) {
    throw new Error(`\`${python}\` is version ${version}; 3.${String(minimumMinor)} or newer is needed. Set PYTHON to the path of one.`);
  }
  return python;
}
