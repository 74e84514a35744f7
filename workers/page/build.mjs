/** Builds the page into static files that the gateway serves. `node workers/page/build.mjs [--watch] [--out DIRECTORY]`; other scripts call {@link buildPage}. */
import { mkdir, readdir, readFile, rm, watch, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { pageHeaders } from "./headers.mjs";

const pageDir = dirname(fileURLToPath(import.meta.url));
const defaultOutDir = join(pageDir, "../../dist/gateway");

/** What a first visit may cost: all JavaScript, libraries included, before the highlighter that only code needs. */
const maximumScriptGzipBytes = 100_000;

/**
 * @param {{ outDir?: string }} [options]
 * @returns {Promise<{ file: string, bytes: number, gzipBytes: number, lazy: boolean }[]>} the scripts and styles written
 */
export async function buildPage({ outDir = defaultOutDir } = {}) {
  const assetsDir = join(outDir, "assets");
  const shared = {
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    outdir: assetsDir,
    entryNames: "[name]-[hash]",
    logLevel: "warning",
  };
  const target = ["chrome125", "firefox128", "safari17.4"];
  // Of their own, so that a first visit loads nothing of them: the page knows the name of one, and that the name of the other.
  const rank = await build({ ...shared, entryPoints: [join(pageDir, "device/ranks/rank-worker.ts")], format: "esm", target });
  const device = await build({
    ...shared,
    define: { rankWorkerPath: JSON.stringify(`/assets/${entryOutput(rank.metafile.outputs, "device/ranks/rank-worker.ts")}`) },
    entryPoints: [join(pageDir, "device/device-worker.ts")],
    assetNames: "engine-[hash]",
    publicPath: "/assets/",
    format: "esm",
    target,
    loader: { ".wasm": "file" },
  });
  const [main, blocking] = await Promise.all([
    build({
      ...shared,
      define: { deviceWorkerPath: JSON.stringify(`/assets/${entryOutput(device.metafile.outputs, "device/device-worker.ts")}`) },
      entryPoints: [join(pageDir, "src/main.tsx"), join(pageDir, "src/styles/main.css"), join(pageDir, "logo.svg")],
      chunkNames: "[name]-[hash]",
      format: "esm",
      splitting: true,
      target,
      jsx: "automatic",
      jsxImportSource: "preact",
      legalComments: "linked",
      loader: { ".svg": "copy" },
    }),
    build({ ...shared, entryPoints: [join(pageDir, "src/theme.ts")], format: "iife", target: "es2022" }),
  ]);

  // The gateway names it in the reference of the API.
  const reference = await build({ ...shared, entryPoints: [join(pageDir, "reference.css")], target });
  const builds = [main, blocking, device, rank];
  const outputs = Object.assign({}, ...builds.map(({ metafile }) => metafile.outputs));
  const contents = new Map(builds.flatMap(({ outputFiles }) => outputFiles).map((file) => [basename(file.path), file.contents]));
  const files = measure(outputs, contents);
  const html = await readFile(join(pageDir, "index.html"), "utf8");
  const names = {
    main: entryOutput(outputs, "src/main.tsx"),
    style: entryOutput(outputs, "src/styles/main.css"),
    theme: entryOutput(outputs, "src/theme.ts"),
    logo: entryOutput(outputs, "logo.svg"),
  };
  enforceBudget(files);
  await mkdir(assetsDir, { recursive: true });
  for (const [name, content] of contents) await writeIfChanged(join(assetsDir, name), content);
  const document = html.replace(/%(\w+)%/g, (_, name) => `assets/${names[name]}`);
  await writeIfChanged(join(outDir, "index.html"), document);
  const firstVisit = [...files.filter(({ lazy }) => !lazy).map(({ file }) => file), names.logo];
  await writeIfChanged(join(outDir, "sw.js"), await buildServiceWorker(document, firstVisit.map((name) => `/assets/${name}`).sort()));
  await writeIfChanged(join(outDir, "reference.css"), reference.outputFiles[0].contents);
  await writeIfChanged(join(outDir, "_headers"), pageHeaders());
  for (const name of await readdir(assetsDir)) if (!contents.has(name)) await rm(join(assetsDir, name));
  return files;
}

/** Other bytes for whatever the page is made of, which is how a browser sees that there is a new one. */
async function buildServiceWorker(document, shell) {
  const version = createHash("sha256").update(document).update(shell.join("\n")).digest("hex").slice(0, 16);
  const { outputFiles } = await build({
    entryPoints: [join(pageDir, "service-worker/service-worker.ts")],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
    logLevel: "warning",
    define: { pageVersion: JSON.stringify(version), pageShell: JSON.stringify(shell) },
  });
  return outputFiles[0].contents;
}

/** A stack that is already serving these files restarts its Workers when one is written, so one that stays the same is left alone. */
async function writeIfChanged(path, content) {
  const current = await readFile(path).catch(() => null);
  if (current === null || !current.equals(Buffer.from(content))) await writeFile(path, content);
}

function measure(outputs, contents) {
  const scripts = Object.entries(outputs).filter(([path]) => /\.(js|css)$/.test(path));
  const eager = eagerOutputs(outputs);
  return scripts.map(([path, output]) => {
    const gzipBytes = gzipSync(contents.get(basename(path)), { level: 9 }).length;
    return { file: basename(path), bytes: output.bytes, gzipBytes, lazy: !eager.has(path) };
  });
}

/** Outputs that a first visit loads: the entries, and what they import other than dynamically. */
function eagerOutputs(outputs) {
  const eager = new Set();
  const visit = (path) => {
    if (eager.has(path)) return;
    eager.add(path);
    for (const imported of outputs[path]?.imports ?? []) if (imported.kind !== "dynamic-import") visit(imported.path);
  };
  // A chunk of its own, such as the highlighter, also names an entry point; only ours are loaded by the page.
  const ours = ["src/main.tsx", "src/theme.ts", "src/styles/main.css"];
  for (const [path, output] of Object.entries(outputs)) if (ours.some((entry) => output.entryPoint?.endsWith(entry))) visit(path);
  return eager;
}

function entryOutput(outputs, entry) {
  const found = Object.entries(outputs).find(([path, output]) => output.entryPoint?.endsWith(entry) && !path.endsWith(".map"));
  if (found === undefined) throw new Error(`esbuild wrote no output for ${entry}`);
  return basename(found[0]);
}

function scriptGzipBytes(files) {
  return files.filter((file) => !file.lazy && file.file.endsWith(".js")).reduce((sum, file) => sum + file.gzipBytes, 0);
}

function enforceBudget(files) {
  const bytes = scriptGzipBytes(files);
  if (bytes > maximumScriptGzipBytes) {
    throw new Error(`the page's JavaScript takes ${bytes} bytes of gzip; at most ${maximumScriptGzipBytes} are allowed`);
  }
}

function report(files) {
  for (const file of files.toSorted((left, right) => Number(left.lazy) - Number(right.lazy))) {
    console.log(
      `${file.file.padEnd(30)} ${String(file.bytes).padStart(8)} bytes ${String(file.gzipBytes).padStart(7)} gzip${file.lazy ? "  lazy" : ""}`,
    );
  }
  console.log(`JavaScript before the highlighter: ${scriptGzipBytes(files)} of ${maximumScriptGzipBytes} bytes gzip`);
}

/** Editors write a file in several steps; one build is enough for them. */
const settleMs = 100;

async function watchPage() {
  console.log(`watching ${relative(process.cwd(), pageDir) || "."}`);
  let timer;
  for await (const _change of watch(pageDir, { recursive: true })) {
    clearTimeout(timer);
    timer = setTimeout(() => buildPage().then(report, (error) => console.error(error.message)), settleMs);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--out");
  report(await buildPage(at < 0 ? {} : { outDir: process.argv[at + 1] }));
  if (process.argv.includes("--watch")) await watchPage();
}
