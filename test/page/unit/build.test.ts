import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPage, type BuiltFile } from "../../../workers/page/build.mjs";
import { headersFor } from "../support/static-files.ts";

let directory: string;
let files: BuiltFile[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "page-build-"));
  await mkdir(join(directory, "model"));
  await writeFile(join(directory, "model/manifest.json"), "{}");
  await mkdir(join(directory, "assets"));
  await writeFile(join(directory, "assets/main-OLD.js"), "");
  files = await buildPage({ outDir: directory });
});
afterAll(() => rm(directory, { recursive: true }));

describe("the built page", () => {
  it("keeps the model beside it and drops its own old files", async () => {
    expect(await readFile(join(directory, "model/manifest.json"), "utf8")).toBe("{}");
    expect(await readdir(join(directory, "assets"))).not.toContain("main-OLD.js");
  });

  it("writes nothing that stays the same, so that a stack which serves it goes on undisturbed", async () => {
    const times = async () => {
      const names = (await readdir(directory, { recursive: true })).sort();
      return await Promise.all(names.map(async (name) => [name, (await stat(join(directory, name))).mtimeMs]));
    };
    const before = await times();
    await buildPage({ outDir: directory });
    expect(await times()).toEqual(before);
  });

  it("takes less than 100 KB of JavaScript, compressed, before the highlighter", () => {
    const eager = files.filter((file) => file.file.endsWith(".js") && !file.lazy);
    expect(eager.map((file) => file.file.split("-")[0])).toEqual(expect.arrayContaining(["main", "theme"]));
    expect(eager.reduce((sum, file) => sum + file.gzipBytes, 0)).toBeLessThan(100_000);
    expect(
      files
        .filter((file) => file.lazy)
        .map((file) => file.file.replace(/-[^-]+$/, ""))
        .sort(),
    ).toEqual(["client", "device-worker", "highlighter", "math-renderer", "rank-worker"]);
  });

  it("has no inline script or style and asks for nothing from elsewhere", async () => {
    const html = await readFile(join(directory, "index.html"), "utf8");
    expect(html).not.toMatch(/<script(?![^>]* src="\/assets\/)|<style|style=|\son\w+=|https?:|%/);
    for (const [, path] of html.matchAll(/(?:src|href)="\/([^"]+)"/g)) await readFile(join(directory, path ?? ""));
  });

  it("has a style for the API's reference, with its own colours", async () => {
    const style = await readFile(join(directory, "reference.css"), "utf8");
    expect(style).toMatch(/--paper: ?#fcfcfa/);
    expect(style).not.toMatch(/@import|url\(/);
  });

  it("is served under a policy without exceptions", async () => {
    const headers = headersFor(await readFile(join(directory, "_headers"), "utf8"), "/");
    const policy = headers["Content-Security-Policy"]?.split("; ");
    expect(policy).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:"]),
    );
    expect(policy).toEqual(expect.arrayContaining(["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]));
    expect(policy?.join()).not.toMatch(/unsafe|\*|https?:/);
    expect(headers).toMatchObject({
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
      "Cross-Origin-Resource-Policy": "same-origin",
    });
    expect(headers["Permissions-Policy"]).toContain("camera=()");
    for (const path of ["/assets/x.js", "/weights/0.bin"])
      expect(headersFor(await readFile(join(directory, "_headers"), "utf8"), path)["Cache-Control"]).toContain("immutable");
  });

  it("lets only the scripts with the engine compile WebAssembly, which in turn may do nothing else", async () => {
    const rules = await readFile(join(directory, "_headers"), "utf8");
    const policyOf = (file: string) => headersFor(rules, `/assets/${file}`)["Content-Security-Policy"]?.split("; ") ?? [];
    const worker = files.find(({ file }) => file.startsWith("device-worker-"))?.file ?? "";
    expect(policyOf(worker).slice(0, 3)).toEqual(["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "connect-src 'self'"]);
    const rank = files.find(({ file }) => file.startsWith("rank-worker-"))?.file ?? "";
    expect(policyOf(rank).slice(0, 2)).toEqual(["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'"]);
    expect(policyOf(rank).filter((rule) => /^(connect|worker)-src/.test(rule))).toEqual([]);
    for (const { file } of files) expect(policyOf(file).join().includes("unsafe")).toBe(file === worker || file === rank);
    // What it has: both builds of the engine, under names of their own.
    expect((await readdir(join(directory, "assets"))).filter((name) => name.endsWith(".wasm"))).toHaveLength(2);
  });
});
