/** The least that any engine in WebAssembly must do: the file's bytes, read and put into a fresh linear memory. Argument: the file. See child-participant.ts. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { digest, idle, part, reading, type StartMeasurement } from "./measurement.ts";

const chunkBytes = 1 << 20;
const pageBytes = 65_536;

/** Node's types know the interfaces of WebAssembly, not its functions. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: { readonly Memory: new (limits: { readonly initial: number }) => { readonly buffer: ArrayBuffer } };
};

function eachChunk(path: string, take: (chunk: Uint8Array, at: number) => void): void {
  const buffer = new Uint8Array(chunkBytes);
  const file = openSync(path, "r");
  try {
    for (let at = 0; ;) {
      const bytes = readSync(file, buffer, 0, chunkBytes, at);
      if (bytes === 0) return;
      take(buffer.subarray(0, bytes), at);
      at += bytes;
    }
  } finally {
    closeSync(file);
  }
}

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("usage: reading-child.ts FILE");
const { size } = statSync(path);
await idle();
const [read] = await part(reading, () => {
  const memory = new Uint8Array(new WebAssembly.Memory({ initial: Math.ceil(size / pageBytes) }).buffer);
  eachChunk(path, (chunk, at) => {
    memory.set(chunk, at);
  });
});
const [hashed] = await part(digest, () => {
  const hash = createHash("sha256");
  eachChunk(path, (chunk) => {
    hash.update(chunk);
  });
  return hash.digest("hex");
});
const measured: StartMeasurement = {
  description: `Node ${process.versions.node}, ${String(size)} bytes, ${String(chunkBytes)} at once, from the file cache`,
  parts: [read, hashed],
};
console.log(JSON.stringify(measured));
