/** Serves a bare page, isolated from other origins as ours is, with everything that the programs load. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { build } from "esbuild";
import { inRepository } from "../../../infra/local/paths.ts";
import { codePath, compatiblePath, engineWorkerPath, modelPath, wllamaPath } from "./paths.ts";

export const wllamaFolder = inRepository("test/bench/browser/wllama");

const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".wasm": "application/wasm",
  ".gguf": "application/octet-stream",
};
const isolating = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function startPageServer(model: string): Promise<PageServer> {
  const worker = await build({
    entryPoints: [inRepository("test/bench/browser/engine-worker.ts")],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    logLevel: "warning",
  });
  const fileOf = (path: string): string | undefined => {
    if (path === codePath) return inRepository("wasm/pkg/relaxed/spikingbrain_bg.wasm");
    if (path === modelPath) return model;
    const found = [
      [wllamaPath, "node_modules/@wllama/wllama/esm/"],
      [compatiblePath, "node_modules/@wllama/wllama-compat/wasm/"],
    ].find(([prefix = ""]) => path.startsWith(prefix) && !path.includes(".."));
    return found === undefined ? undefined : `${wllamaFolder}/${String(found[1])}${path.slice(String(found[0]).length)}`;
  };
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    if (path === "/") {
      response.writeHead(200, { ...isolating, "content-type": "text/html" }).end("<!doctype html><title>bench</title>");
    } else if (path === engineWorkerPath) {
      response.writeHead(200, { ...isolating, "content-type": "text/javascript" }).end(worker.outputFiles[0]?.contents);
    } else {
      const file = fileOf(path);
      if (file === undefined) {
        response.writeHead(404).end();
        return;
      }
      const stream = createReadStream(file);
      stream.once("error", () => response.writeHead(404).end());
      stream.once("open", () => {
        response.writeHead(200, { ...isolating, "content-type": types[extname(file)] ?? "application/octet-stream" });
        stream.pipe(response);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
