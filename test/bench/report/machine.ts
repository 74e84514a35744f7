/** Where and on what a record was measured: hardware and versions, never a name or an address. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { digestFile } from "../../../infra/local/models/digest.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { capture } from "../../../infra/local/run.ts";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";

export interface MachineFacts {
  readonly processor: string;
  readonly cores: number;
  /** Vector extensions that decide what native code can do. */
  readonly vectorExtensions: readonly string[];
  readonly memoryGibibytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  /** What the engine packages are built with. */
  readonly rust: string;
}

export interface SubjectFacts {
  readonly commit: string;
  /** Files that differ from the commit, the records aside. */
  readonly uncommittedFiles: number;
  /** sha256 of each engine package's wasm file. */
  readonly enginePackages: Readonly<Record<"relaxed" | "simd128", string>>;
  readonly model: { readonly id: string; readonly sha256: string; readonly bytes: number };
}

export function machineFacts(): MachineFacts {
  const processors = cpus();
  return {
    processor: processors[0]?.model ?? "unknown",
    cores: processors.length,
    vectorExtensions: vectorExtensions(),
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    // Without what a distribution or an owner adds to the number.
    kernel: `${type()} ${/^[\d.]+/.exec(release())?.[0] ?? "unknown"}`,
    node: process.versions.node,
    v8: process.versions.v8,
    rust: /^channel *= *"(.+)"$/m.exec(readFileSync(inRepository("wasm/rust-toolchain.toml"), "utf8"))?.[1] ?? "unknown",
  };
}

export async function subjectFacts({ id, sha256, bytes }: ModelManifest): Promise<SubjectFacts> {
  const digestOf = (name: string): Promise<string> => digestFile(inRepository(`wasm/pkg/${name}/spikingbrain_bg.wasm`));
  const changed = await git("status", "--porcelain", "--", ".", ":!test/bench/records");
  return {
    commit: await git("rev-parse", "HEAD"),
    uncommittedFiles: changed === "" ? 0 : changed.split("\n").length,
    enginePackages: { relaxed: await digestOf("relaxed"), simd128: await digestOf("simd128") },
    model: { id, sha256, bytes },
  };
}

/** Programs that wanted a core, averaged over the last minute. */
export function recentLoad(): number {
  return Number((loadavg()[0] ?? 0).toFixed(2));
}

function vectorExtensions(): string[] {
  let text: string;
  try {
    text = readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return []; // Only Linux says so in a file.
  }
  const flags = /^(?:flags|Features)\s*:\s*(.+)$/m.exec(text)?.[1]?.split(" ") ?? [];
  return flags.filter((flag) => /^(avx2|avx512f|avx512_vnni|avx512_bf16|avx_vnni|amx_int8|asimd|asimddp|i8mm|sve2?)$/.test(flag));
}

async function git(...args: string[]): Promise<string> {
  const { status, output } = await capture("git", args);
  if (status !== 0) throw new Error(`\`git ${args.join(" ")}\` failed: ${output}`);
  return output.trim();
}
