/** The programs, each in a page of one browser. */
import type { Browser, Page } from "playwright-core";
import type { Measurement, Task } from "../engine/participant.ts";
import { compatiblePath, engineWorkerPath, modelPath, wllamaPath } from "./paths.ts";

export interface BrowserTask extends Task {
  /** The same prompt as text. */
  readonly text: string;
}

/** What is measured, and what was written. */
export interface BrowserMeasurement extends Pick<Measurement, "prefillSeconds" | "decodeSeconds"> {
  readonly promptTokens: number;
  readonly decodedTokens: number;
  readonly written: string;
}

export interface BrowserParticipant {
  readonly name: string;
  measure(task: BrowserTask): Promise<BrowserMeasurement>;
}

/** What wllama's `createCompletion` tells of itself. */
interface Completion {
  readonly choices: readonly { readonly text: string }[];
  readonly timings: { readonly prompt_n: number; readonly prompt_ms: number; readonly predicted_n: number; readonly predicted_ms: number };
}

interface Wllama {
  setCompat(resources: { worker: string; wasm: string }): void;
  loadModel(files: Blob[], options: object): Promise<void>;
  createCompletion(options: object): Promise<Completion>;
}

interface WllamaPackage {
  readonly Wllama: new (paths: { default: string }, options: object) => Wllama;
  readonly LoggerWithoutDebug: object;
}

/** Of a page's scope, what these programs use and Node's types do not have. */
interface PageScope {
  readonly Worker: new (path: string, options: { type: "module" }) => Kept["worker"];
  readonly WebAssembly: Record<string, unknown>;
}

/** Between calls of one page. */
interface Kept {
  worker: {
    onmessage: ((event: { data: Measurement }) => void) | null;
    onerror: ((event: { message: string }) => void) | null;
    postMessage(task: Task): void;
  };
  wllama: Wllama;
}

export async function ours(
  browser: Browser,
  url: string,
  name: string,
  decode: (ids: readonly number[]) => string,
): Promise<BrowserParticipant> {
  const page = await blankPage(browser, url);
  await page.evaluate(
    (path) =>
      new Promise<void>((resolve, reject) => {
        const scope = globalThis as unknown as PageScope & Kept;
        const worker = new scope.Worker(path, { type: "module" });
        scope.worker = worker;
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.onmessage = () => resolve();
      }),
    engineWorkerPath,
  );
  return {
    name,
    async measure({ prompt, decode: count }) {
      const measured = await page.evaluate(
        (task) =>
          new Promise<Measurement>((resolve) => {
            const { worker } = globalThis as unknown as Kept;
            worker.onmessage = ({ data }) => resolve(data);
            worker.postMessage(task);
          }),
        { prompt, decode: count },
      );
      const { prefillSeconds, decodeSeconds, tokens } = measured;
      return { prefillSeconds, decodeSeconds, promptTokens: prompt.length, decodedTokens: tokens.length, written: decode(tokens) };
    },
  };
}

/** `compatible` is the build for browsers without 64-bit memories and without promises of WebAssembly's, which are hidden from it. */
export async function wllama(
  browser: Browser,
  url: string,
  name: string,
  { compatible, contextTokens }: { readonly compatible: boolean; readonly contextTokens: number },
): Promise<BrowserParticipant> {
  const page = await blankPage(browser, url, compatible);
  const options = { n_ctx: contextTokens, n_threads: 1, n_gpu_layers: 0, n_parallel: 1 };
  await page.evaluate(
    async ({ model, paths, options }) => {
      const { Wllama, LoggerWithoutDebug } = (await import(paths.script)) as WllamaPackage;
      const made = new Wllama({ default: paths.wasm }, { logger: LoggerWithoutDebug, suppressNativeLog: true });
      made.setCompat(paths.compatible);
      await made.loadModel([await (await fetch(model)).blob()], options);
      (globalThis as unknown as Kept).wllama = made;
    },
    {
      model: modelPath,
      options,
      paths: {
        script: `${wllamaPath}index.js`,
        wasm: `${wllamaPath}wasm/wllama.wasm`,
        compatible: { worker: `${compatiblePath}wllama.js`, wasm: `${compatiblePath}wllama.wasm` },
      },
    },
  );
  return {
    name,
    async measure({ text, decode }) {
      const { choices, timings } = await page.evaluate(
        async (options) => {
          const { choices, timings } = await (globalThis as unknown as Kept).wllama.createCompletion(options);
          return { choices, timings };
        },
        { prompt: text, max_tokens: decode + 1, temperature: 0, cache_prompt: false, ignore_eos: true },
      );
      // Its first token comes of the prompt, and only those behind it are counted as decoding.
      return {
        prefillSeconds: timings.prompt_ms / 1000,
        decodeSeconds: timings.predicted_ms / 1000,
        promptTokens: timings.prompt_n,
        decodedTokens: timings.predicted_n - 1,
        written: choices[0]?.text ?? "",
      };
    },
  };
}

async function blankPage(browser: Browser, url: string, compatible = false): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(120_000);
  if (compatible)
    await page.addInitScript(() => {
      const { WebAssembly: hidden } = globalThis as unknown as PageScope;
      delete hidden["Suspending"];
      delete hidden["promising"];
    });
  await page.goto(url);
  return page;
}
