import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { shardBytes, writeShards } from "../../../../infra/local/gguf/shards.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("writeShards", () => {
  it.each([0, 1, 999, 1000, 1001, 3000, 3457])("cuts %i bytes so that the shards are the file again", async (length) => {
    const directory = temporaryDirectory();
    const content = randomBytes(length);
    const source = join(directory, "model.gguf");
    writeFileSync(source, content);
    const written = await writeShards(source, join(directory, "shards"), 1000);
    expect(written).toMatchObject({ bytes: length, sha256: sha256(content) });
    expect(written.shards.map(({ bytes }) => bytes).filter((bytes) => bytes > 1000)).toEqual([]);
    const contents = written.shards.map(({ file }) => readFileSync(join(directory, "shards", file)));
    expect(Buffer.concat(contents).equals(content)).toBe(true);
    expect(written.shards.map(({ sha256: digest }) => digest)).toEqual(contents.map(sha256));
  });

  it("stays below what one static asset may have", () => {
    expect(shardBytes).toBeLessThan(25 * 1024 * 1024);
  });
});
