import { inRepository } from "./paths.ts";
import { run } from "./run.ts";

/**
 * Makes rustup hold what wasm/rust-toolchain.toml names: the compiler, its tools and the WebAssembly target. Cargo does this by itself only
 * where rustup may install without being asked.
 */
export async function ensureRust(): Promise<void> {
  const advice = "Install Rust with rustup (https://rustup.rs), then run the same command again.";
  const { status } = await run("rustup", ["toolchain", "install"], { cwd: inRepository("wasm") }).catch((cause: unknown) => {
    throw new Error(`\`rustup\` cannot be started. ${advice}`, { cause });
  });
  if (status !== 0)
    throw new Error(`rustup could not install the toolchain that wasm/rust-toolchain.toml names (status ${String(status)}).`);
}
