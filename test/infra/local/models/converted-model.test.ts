import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lockPath, mergedModel, readLock, writeLock } from "../../../../infra/local/models/converted-model.ts";
import { digestFile } from "../../../../infra/local/models/digest.ts";
import { readGguf, writeGguf, type GgufEntry, type GgufTensor } from "../../../../infra/local/gguf/layout.ts";
import { readRegistry } from "../../../../infra/local/models/registry.ts";
import { inRepository } from "../../../../infra/local/paths.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

function textEntry(key: string, value: string): GgufEntry {
  const length = (text: string): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return Buffer.concat([bytes, Buffer.from(text)]);
  };
  const type = Buffer.from([8, 0, 0, 0]);
  return { key, bytes: Buffer.concat([length(key), type, length(value)]), value: length(value) };
}

const tensor = (name: string, fill: number): GgufTensor => ({ name, dimensions: [4], type: 0, data: Buffer.alloc(16, fill) });

/** Of a type that the engine does not read: 32 times code 1 - 16, by a scale of 2^-9. */
const q50: GgufTensor = { name: "c", dimensions: [32], type: 6, data: Buffer.from([0, 0x18, 0, 0, 0, 0, ...Array<number>(16).fill(0x11)]) };

interface Files {
  readonly teacher: string;
  readonly delta: string;
  readonly cache: string;
}

/** A teacher, the delta that was made for it, and its lock. */
async function lockedFiles(): Promise<Files> {
  const directory = temporaryDirectory();
  const [teacher, delta, cache] = ["teacher.gguf", "small.delta.gguf", "cache"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(cache);
  writeFileSync(teacher, writeGguf({ entries: [textEntry("general.architecture", "qwen2")], tensors: [tensor("a", 1), q50] }));
  writeFileSync(
    delta,
    writeGguf({
      entries: [
        textEntry("general.architecture", "spikingbrain"),
        textEntry("spikingbrain.delta.base_file", "teacher.gguf"),
        textEntry("spikingbrain.delta.base_sha256", await digestFile(teacher)),
      ],
      tensors: [tensor("b", 2)],
    }),
  );
  await writeLock(teacher, delta, join(directory, "merged.gguf"));
  return { teacher, delta, cache };
}

const make = ({ teacher, delta, cache }: Files): Promise<string> => mergedModel("small", teacher, delta, cache);

describe("mergedModel", () => {
  it("makes what is locked, once", async () => {
    const files = await lockedFiles();
    const path = await make(files);
    expect(await digestFile(path)).toBe(readLock(files.delta).mergedSha256);
    // A second time needs neither teacher nor delta.
    expect(await make({ ...files, teacher: "nowhere" })).toBe(path);
    expect(readdirSync(files.cache)).toEqual(["small.gguf"]);
  });

  it("has the delta's tensors beside the teacher's, and those in types that the engine reads", async () => {
    const path = await make(await lockedFiles());
    const { tensors } = readGguf(readFileSync(path), path);
    const data = Buffer.from([0, 0x18, ...Array<number>(32).fill(256 - 15)]);
    expect(tensors).toEqual([tensor("a", 1), { ...q50, type: 8, data }, tensor("b", 2)]);
  });

  it("makes it again where the file is cut off or of another delta", async () => {
    const files = await lockedFiles();
    const path = await make(files);
    const whole = readFileSync(path);
    truncateSync(path, 40);
    expect(readFileSync(await make(files))).toEqual(whole);
    writeFileSync(path, Buffer.from(whole).fill(7, whole.length - 8));
    expect(readFileSync(await make(files))).toEqual(whole);
  });

  it.each<[name: string, change: (files: Files) => Promise<void> | void, message: RegExp]>([
    [
      "a delta that is not the locked one",
      ({ delta }) => {
        writeFileSync(delta, Buffer.concat([readFileSync(delta), Buffer.alloc(1)]));
      },
      /small.delta.gguf: sha256 must be \w{64}, as locked, and is \w{64}. git restore .*npm run lock:model/,
    ],
    [
      "another teacher",
      ({ teacher }) => {
        writeFileSync(teacher, writeGguf({ entries: [], tensors: [] }));
      },
      /teacher.gguf must be teacher.gguf with sha256 \w{64}; its sha256 is \w{64}/,
    ],
    [
      "a merged file that is not the locked one",
      ({ delta }) => {
        writeFileSync(lockPath(delta), JSON.stringify({ ...readLock(delta), mergedSha256: "0".repeat(64) }));
      },
      /sha256 must be 0{64}, as locked, and is \w{64}. Nothing was installed/,
    ],
    [
      "a lock with a field missing",
      ({ delta }) => {
        writeFileSync(lockPath(delta), "{}");
      },
      /small.lock.json:[^]*deltaSha256/,
    ],
  ])("refuses %s and leaves nothing behind", async (_name, change, message) => {
    const files = await lockedFiles();
    await change(files);
    await expect(make(files)).rejects.toThrow(message);
    expect(readdirSync(files.cache)).toEqual([]);
  });

  it("says what to do where there is no lock", async () => {
    const files = await lockedFiles();
    const other = join(files.cache, "other.delta.gguf");
    cpSync(files.delta, other);
    await expect(make({ ...files, delta: other })).rejects.toThrow(/other.lock.json is missing; `npm run lock:model` writes/);
  });
});

it("every registered delta is the one its lock names, for the teacher that is pinned", async () => {
  const models = readRegistry();
  const converted = [...models.values()].flatMap((model) => ("delta" in model ? [model] : []));
  expect(converted.length).toBeGreaterThan(0);
  for (const { delta, teacher } of converted) {
    const path = inRepository(delta);
    expect(existsSync(path)).toBe(true);
    const pinned = models.get(teacher);
    expect(readLock(path)).toMatchObject({
      deltaSha256: await digestFile(path),
      teacherSha256: pinned !== undefined && "file" in pinned ? pinned.file.sha256 : "",
    });
  }
});
