/**
 * Rebuilds `wasm/pkg/grammar/grammar.wasm`, or with `--check` says whether the committed file belongs to the committed sources. Plain cargo without
 * wasm-bindgen: its glue holds one instance for ever, and the grammar Worker begins anew with another one after a trap.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { digestOf, filesUnder, optimised, pathRemaps } from "./build-wasm.ts";
import { inRepository, repositoryRoot } from "./local/paths.ts";
import { isMain, reportFailure, run } from "./local/run.ts";
import { ensureRust } from "./local/rust.ts";
import { metered } from "./wasm-meter.ts";

const crate = inRepository("wasm/grammar");
const output = inRepository("wasm/pkg/grammar");
const target = inRepository("wasm/grammar/target");
const stamp = join(output, "SOURCES.sha256");
const triple = "wasm32-unknown-unknown";

/** Each instance is given a memory with a bound of its own; none may be larger. A deep grammar needs more stack than the usual megabyte. */
const linkArguments = [
  "--import-memory",
  `--max-memory=${String(128 << 20)}`,
  `--initial-memory=${String(64 << 16)}`,
  "-zstack-size=2097152",
];

async function build(): Promise<void> {
  await ensureRust();
  const flags = [
    // Seeds of hash tables come from `wasm/grammar/src/seeds.rs`.
    ...["--cfg", 'getrandom_backend="custom"'],
    ...["-C", "target-feature=+simd128", ...linkArguments.flatMap((argument) => ["-C", `link-arg=${argument}`])],
    ...(await pathRemaps()).map(([from, to]) => `--remap-path-prefix=${from}=${to}`),
  ];
  const folder = process.env["CARGO_TARGET_DIR"] ?? target;
  const { status } = await run("cargo", ["build", "--release", "--locked", "--target", triple], {
    cwd: crate,
    env: { ...optimised, CARGO_TARGET_DIR: folder, CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"), RUSTFLAGS: undefined },
  });
  if (status !== 0) throw new Error(`cargo could not build the grammar library (status ${String(status)}).`);
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  writeFileSync(join(output, "grammar.wasm"), metered(readFileSync(join(folder, triple, "release", "spikingbrain_grammar.wasm"))));
  writeFileSync(stamp, stampText());
}

/** Why the file is stale, or undefined when it is current. */
export function grammarStaleness(): string | undefined {
  if (!existsSync(stamp)) return `${relative(repositoryRoot, stamp)} is missing`;
  const recorded = readFileSync(stamp, "utf8").split("\n");
  const actual = stampText().split("\n");
  if (recorded[0] !== actual[0]) return "the sources in wasm/grammar have changed since the library was built";
  return recorded[1] === actual[1] ? undefined : "the file in wasm/pkg/grammar is not the one that was built";
}

function stampText(): string {
  const inputs = filesUnder(crate, new Set(["target", "tests"])).concat(
    "infra/build-grammar.ts",
    "infra/wasm-meter.ts",
    "wasm/rust-toolchain.toml",
  );
  const outputs = filesUnder(output, new Set()).filter((file) => file.endsWith(".wasm"));
  return `${digestOf(inputs)}  sources\n${digestOf(outputs)}  library\n`;
}

if (isMain(import.meta.url)) {
  try {
    if (process.argv.includes("--check")) {
      const reason = grammarStaleness();
      if (reason !== undefined)
        throw new Error(`The grammar library is stale: ${reason}. Run \`npm run build:grammar\` and commit wasm/pkg.`);
    } else {
      await build();
    }
  } catch (error) {
    reportFailure(error);
  }
}
