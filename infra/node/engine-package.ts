/** The engine outside Workers: picks the build this host can run, and streams a GGUF from a file into it. */
import { createReadStream, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pushFile } from "./weights-file.ts";
import { packageNames, type Inspection, type LoadOptions, type PackageName } from "./package-surface.ts";
import type { Engine } from "../../wasm/pkg/relaxed/spikingbrain.js";

const chunkBytes = 1 << 20;

/** Node's types know the interfaces of WebAssembly, not its functions. */
type Compiled = import("../../wasm/pkg/relaxed/spikingbrain.js").SyncInitInput;
const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: { readonly Module: new (bytes: Uint8Array) => Compiled } };

/** Compiled once a thread, which also tells whether the host can: to look at a package's code costs milliseconds each time. */
const modules = new Map<PackageName, Compiled | undefined>();

export function bestPackage(runs = (name: PackageName): boolean => moduleOf(name) !== undefined): PackageName {
  const name = packageNames.find(runs);
  if (name === undefined) throw new Error("This host validates neither build of the engine: it needs WebAssembly with SIMD.");
  return name;
}

/** One instance of a build holds one model, so a process loads each build once. */
export async function loadEngine(path: string, { package: name = bestPackage(), onProgress, ...options }: LoadOptions): Promise<Engine> {
  const size = fileSize(path);
  const { ModelLoader } = await instantiate(name);
  const loader = new ModelLoader(JSON.stringify(options));
  await pushFile(path, loader, { onProgress: (at) => onProgress?.(at, size) });
  return loader.finish();
}

/** What a file's header says; nothing after it is read. */
export async function inspectModel(path: string, contexts: readonly number[]): Promise<Inspection> {
  fileSize(path);
  const { ModelInspector } = await instantiate(bestPackage());
  const inspector = new ModelInspector();
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) if (inspector.push(chunk as Buffer)) break;
  return JSON.parse(inspector.describe(Uint32Array.from(contexts))) as Inspection;
}

/** Of a file that is there. */
export function fileSize(path: string): number {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isFile() !== true) throw new Error(`"${path}" is not a file; it must be the path of a GGUF.`);
  return status.size;
}

type Glue = typeof import("../../wasm/pkg/relaxed/spikingbrain.js");

/** The package with its linear memory, once a thread. */
export async function instantiate(name: PackageName): Promise<Pick<Glue, "ModelLoader" | "ModelInspector"> & { readonly memory: Memory }> {
  const glue = (await import(`../../wasm/pkg/${name}/spikingbrain.js`)) as Glue;
  const { ModelLoader, ModelInspector } = glue;
  const module = moduleOf(name);
  if (module === undefined) throw new Error(`This host does not validate the engine's ${name} build.`);
  return { ModelLoader, ModelInspector, memory: glue.initSync({ module }).memory };
}

interface Memory {
  readonly buffer: ArrayBufferLike;
}

/** Undefined where this host has not the instructions. */
function moduleOf(name: PackageName): Compiled | undefined {
  if (!modules.has(name))
    modules.set(name, compiled(readFileSync(join(import.meta.dirname, "../../wasm/pkg", name, "spikingbrain_bg.wasm"))));
  return modules.get(name);
}

function compiled(bytes: Uint8Array): Compiled | undefined {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    if (error instanceof Error && error.name === "CompileError") return undefined;
    throw error;
  }
}
