/** The weights in the browser: nothing is kept or believed that is not what the manifest says, and what is kept is not asked for again. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { toHex } from "../../../workers/encoding/hex.ts";
import type { ModelDownload, ModelManifest } from "../../../workers/contracts/model-files.ts";
import type { ModelLoader } from "../../../workers/engine/engine-surface.ts";
import { loadWeights } from "../../../workers/engine/weights.ts";
import { dropOthers, requireRoom, weightFiles } from "../../../workers/page/device/kept-files.ts";
import type { LoadProgress } from "../../../workers/page/device/protocol.ts";

const parts = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)] as const;
let download: ModelDownload;
let kept: Map<string, Uint8Array<ArrayBuffer>>;
let asked: string[];
/** What the server says instead, by a part's number. */
let wrong: Map<number, Response>;
let progress: LoadProgress[];

const pathOf = (request: unknown) => (typeof request === "string" ? request : new URL((request as Request).url).pathname);
const cache = {
  match: (request: unknown) => Promise.resolve(kept.has(pathOf(request)) ? new Response(kept.get(pathOf(request))) : undefined),
  put: async (path: string, response: Response) => void kept.set(path, new Uint8Array(await response.arrayBuffer())),
  delete: (request: unknown) => Promise.resolve(kept.delete(pathOf(request))),
  keys: () => Promise.resolve([...kept.keys()].map((path) => new Request(`http://page${path}`))),
};

beforeEach(async () => {
  kept = new Map();
  asked = [];
  wrong = new Map();
  progress = [];
  const files = await Promise.all(
    parts.map(async (part) => {
      const sha256 = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", part)));
      return { file: `${sha256}.bin`, bytes: part.length, sha256 };
    }),
  );
  download = { bytes: 5, files };
  vi.stubGlobal("caches", { open: () => Promise.resolve(cache) });
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    const at = files.findIndex(({ file }) => path === `/weights/${file}`);
    return Promise.resolve(wrong.get(at) ?? new Response(parts[at]));
  });
  return () => vi.unstubAllGlobals();
});

/** All bytes that the engine would get, of a load of its own. */
async function load(): Promise<number[]> {
  const files = weightFiles({ id: "m" } as ModelManifest, download, (now) => progress.push(now));
  const manifest = (await (await files.fetch("https://files/model/manifest.json")).json()) as ModelManifest;
  const bytes: number[] = [];
  for (const { file } of manifest.shards)
    bytes.push(...new Uint8Array(await (await files.fetch(`https://files/model/${file}`)).arrayBuffer()));
  return bytes;
}

describe("weights in the browser", () => {
  it("come once, with progress, and then from what is kept", async () => {
    expect(await load()).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual(download.files.map(({ file }) => `/weights/${file}`));
    expect(progress.at(-1)).toEqual({ received: 5, total: 5, downloads: true });
    asked.length = 0;
    expect(await load()).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual([]);
    expect(progress.at(-1)).toEqual({ received: 5, total: 5, downloads: false });
  });

  it("have their digest made once, whether they come or were kept", async () => {
    const digest = vi.spyOn(crypto.subtle, "digest");
    for (const read of ["downloaded", "kept"]) {
      digest.mockClear();
      const files = weightFiles({ id: "m" } as ModelManifest, download, () => undefined);
      const pushed: number[] = [];
      const loader: ModelLoader<number[]> = {
        push: (chunk) => void pushed.push(...chunk),
        neededFrom: () => 0,
        skip: () => undefined,
        finish: () => pushed,
        free: () => undefined,
      };
      expect(await loadWeights(files, { shards: download.files }, loader, () => undefined), read).toEqual([1, 2, 3, 4, 5]);
      expect(digest, read).toHaveBeenCalledTimes(parts.length);
    }
    digest.mockRestore();
  });

  it.each([
    ["other bytes", () => new Response(Uint8Array.of(9, 9)), "download", /must have sha256 [0-9a-f]{64}; what came has/],
    ["too few", () => new Response(Uint8Array.of(4)), "download", /must have 2 bytes; only 1 came/],
    ["too many", () => new Response(Uint8Array.of(4, 5, 6)), "download", /must have 2 bytes; more came/],
    ["a refusal", () => new Response("no", { status: 404 }), "network", /answered with status 404/],
  ])("%s are refused and dropped, and what was right is kept", async (_, response, kind, message) => {
    wrong.set(1, response());
    await expect(load()).rejects.toMatchObject({ failure: { kind, message: expect.stringMatching(message) as string } });
    expect([...kept.keys()]).toEqual([`/weights/${download.files[0]?.file ?? ""}`]);
    wrong.clear();
    asked.length = 0;
    expect(await load()).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual([`/weights/${download.files[1]?.file ?? ""}`]);
  });

  it("that were damaged where they are kept come anew", async () => {
    await load();
    asked.length = 0;
    kept.set(`/weights/${download.files[0]?.file ?? ""}`, Uint8Array.of(1, 2, 4));
    expect(await load()).toEqual([1, 2, 3, 4, 5]);
    expect(asked).toEqual([`/weights/${download.files[0]?.file ?? ""}`]);
  });

  it("of another model make room once this one is here", async () => {
    kept.set("/weights/old.bin", Uint8Array.of(0));
    kept.set("/model/manifest.json", Uint8Array.of(0));
    await load();
    await dropOthers(download);
    expect([...kept.keys()].sort()).toEqual(["/model/manifest.json", ...download.files.map(({ file }) => `/weights/${file}`)].sort());
  });

  it("are not asked for where the browser has no room for what is missing", async () => {
    const quota = (quota: number, usage: number) =>
      vi.stubGlobal("navigator", { storage: { estimate: () => Promise.resolve({ quota, usage }) } });
    quota(10, 6);
    await expect(requireRoom(download)).rejects.toMatchObject({ failure: { kind: "storage" } });
    quota(10, 5);
    await requireRoom(download);
    await load();
    quota(10, 10);
    await requireRoom(download);
  });
});
