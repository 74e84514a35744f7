/**
 * Rebuilds `wasm/pkg/{simd128,relaxed}` with wasm-pack, or with `--check` says whether the committed packages belong to the committed
 * sources. `wasm/pkg/SOURCES.sha256` ties the two together: a digest over everything that goes in and one over everything that came out.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { inRepository, repositoryRoot } from "./local/paths.ts";
import { capture, isMain, reportFailure, run } from "./local/run.ts";
import { ensureRust } from "./local/rust.ts";

const wasm = inRepository("wasm");
const packages = inRepository("wasm/pkg");
const stamp = join(packages, "SOURCES.sha256");

/** It brings the wasm-bindgen that Cargo.lock asks for. */
const wasmPackVersion = "0.15.1";

const builds = [
  { name: "simd128", features: "+simd128" },
  { name: "relaxed", features: "+simd128,+relaxed-simd" },
] as const;

/** What wasm/Cargo.toml leaves out of the release profile. */
export const optimised = { CARGO_PROFILE_RELEASE_LTO: "fat", CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "1" } as const;

/** Files wasm-pack adds that are of no use here. */
const unwanted = new Set([".gitignore", "README.md", "LICENSE", "package.json", "spikingbrain_bg.wasm.d.ts"]);

async function build(): Promise<void> {
  await ensureRust();
  const wasmPack = await ensureWasmPack();
  const remaps = await pathRemaps();
  for (const { name, features } of builds) {
    const output = join(packages, name);
    rmSync(output, { recursive: true, force: true });
    const flags = ["-C", `target-feature=${features}`, ...remaps.map(([from, to]) => `--remap-path-prefix=${from}=${to}`)];
    const { status } = await run(
      wasmPack,
      [
        ...["build", "bindings", "--release", "--target", "web", "--no-pack"],
        ...["--out-name", "spikingbrain", "--out-dir", output, "--", "--locked"],
      ],
      // The encoded form keeps paths with blanks whole; RUSTFLAGS would be ignored beside it.
      { cwd: wasm, env: { ...optimised, CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"), RUSTFLAGS: undefined } },
    );
    if (status !== 0) throw new Error(`wasm-pack could not build the ${name} package (status ${String(status)}).`);
    for (const file of readdirSync(output)) if (unwanted.has(file)) rmSync(join(output, file));
  }
  writeFileSync(stamp, stampText());
}

/** Why the packages are stale, or undefined when they are current. */
export function staleness(): string | undefined {
  if (!existsSync(stamp)) return `${relative(repositoryRoot, stamp)} is missing`;
  const recorded = readFileSync(stamp, "utf8").split("\n");
  const actual = stampText().split("\n");
  if (recorded[0] !== actual[0]) return "the sources in wasm/ have changed since the packages were built";
  return recorded[1] === actual[1] ? undefined : "the files in wasm/pkg are not the ones that were built";
}

function stampText(): string {
  const inputs = filesUnder(wasm, new Set(["target", "pkg", "tests", "benches", "fuzz", "grammar", "examples"]))
    .filter((file) => /\.rs$|(^|\/)(Cargo\.toml|Cargo\.lock|rust-toolchain\.toml|build\.rs)$|^wasm\/\.cargo\//.test(file))
    .concat("infra/build-wasm.ts");
  const outputs = builds.flatMap(({ name }) => filesUnder(join(packages, name), new Set()));
  return `${digestOf(inputs)}  sources\n${digestOf(outputs)}  packages\n`;
}

/** Paths relative to the repository, in one order everywhere. */
export function filesUnder(directory: string, skipped: ReadonlySet<string>): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return skipped.has(entry.name) ? [] : filesUnder(path, skipped);
      return [relative(repositoryRoot, path)];
    })
    .sort();
}

export function digestOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) {
    const content = readFileSync(inRepository(file));
    hash.update(`${file}\0${String(content.length)}\0`).update(content);
  }
  return hash.digest("hex");
}

/**
 * The path of the wasm-pack that cargo installed: npm's package of the same name comes first on the PATH of an npm script, but has no
 * binary where downloads outside the registries are closed.
 */
async function ensureWasmPack(): Promise<string> {
  const installed = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin", "wasm-pack");
  const current = await capture(installed, ["--version"]).catch(() => undefined);
  if (current?.status === 0 && current.output.trim() === `wasm-pack ${wasmPackVersion}`) return installed;
  console.log(`Installing wasm-pack ${wasmPackVersion} with cargo …`);
  const { status } = await run("cargo", ["install", "--locked", "--force", `wasm-pack@${wasmPackVersion}`]);
  if (status !== 0) throw new Error(`\`cargo install --locked wasm-pack@${wasmPackVersion}\` failed. Is Rust installed (rustup.rs)?`);
  return installed;
}

/** So that the bytes do not depend on where the checkout, the crates and the toolchain lie. */
export async function pathRemaps(): Promise<(readonly [from: string, to: string])[]> {
  const { status, output } = await capture("rustc", ["--print", "sysroot"], { cwd: wasm });
  if (status !== 0) throw new Error(`\`rustc --print sysroot\` failed: ${output}`);
  const sysroot = output.trim().split("\n").at(-1) ?? "";
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  return [
    [cargoHome, "/cargo"],
    [dirname(sysroot), "/rust"],
    [repositoryRoot, "/spikingbrain"],
  ];
}

if (isMain(import.meta.url)) {
  try {
    if (process.argv.includes("--check")) {
      const reason = staleness();
      if (reason !== undefined) throw new Error(`The built engine is stale: ${reason}. Run \`npm run build:wasm\` and commit wasm/pkg.`);
    } else {
      await build();
    }
  } catch (error) {
    reportFailure(error);
  }
}
