/**
 * The model's files as this browser has them: what is kept, and from the network what is not. Weights have names that never mean other bytes, so a
 * kept one is never asked for again; no byte is believed whose digest is not the manifest's.
 */
import type { ModelDownload, ModelManifest, ModelShard } from "../../contracts/model-files.ts";
import { weightsPath } from "../../contracts/model-files.ts";
import { toHex } from "../../encoding/hex.ts";
import type { ModelAssets } from "../../models/catalog.ts";
import { DeviceError } from "./failures.ts";
import { modelCacheName as cacheName, type LoadProgress } from "./protocol.ts";

/** Small files, as the Workers read them: fresh while there is a network, kept for when there is none. */
export const keptAssets: ModelAssets = {
  ASSETS: {
    async fetch(address) {
      const path = new URL(address).pathname;
      const cache = await caches.open(cacheName);
      const response = await fetch(path, { cache: "no-cache" }).catch(() => undefined);
      if (response?.ok === true) await cache.put(path, response.clone()).catch(refuseStorage);
      const found = response?.ok === true ? response : ((await cache.match(path)) ?? response);
      if (found === undefined) throw new DeviceError("network", `${path} could not be read.`);
      return found;
    },
  },
};

/** @throws DeviceError where the text is not what the card names. */
export async function requireDigest(path: string, sha256: string): Promise<void> {
  const response = await keptAssets.ASSETS.fetch(new URL(path, location.origin).href);
  const actual = await digestOf(new Uint8Array(await response.arrayBuffer()));
  if (actual === sha256) return;
  await (await caches.open(cacheName)).delete(path);
  throw new DeviceError("download", `${path} must have sha256 ${sha256}; it has ${actual}.`);
}

/** What the engine's loader reads. */
interface CheckedFiles {
  readonly areChecked: true;
  fetch(address: string): Promise<Response>;
}

/** For the engine's loader: the manifest, and its shards one after another. `onProgress` hears of every byte. */
export function weightFiles(
  manifest: ModelManifest,
  { bytes, files }: ModelDownload,
  onProgress: (progress: LoadProgress) => void,
): CheckedFiles {
  const { stages: _stages, ...model } = manifest;
  const whole: ModelManifest = { ...model, shards: files };
  let received = 0;
  let downloads = false;
  const add = (count: number, fromNetwork: boolean): void => {
    received += count;
    downloads ||= fromNetwork;
    onProgress({ received, total: bytes, downloads });
  };
  return {
    areChecked: true,
    async fetch(address) {
      const name = decodeURIComponent(address.slice(address.lastIndexOf("/") + 1));
      if (name === "manifest.json") return Response.json(whole);
      const shard = files.find(({ file }) => file === name);
      if (shard === undefined) return new Response(null, { status: 404 });
      const kept = await keptShard(shard);
      if (kept !== undefined) add(shard.bytes, false);
      return new Response(kept ?? (await downloadedShard(shard, (count) => add(count, true))));
    },
  };
}

/** Before anything is downloaded. @throws DeviceError `storage` where the browser says that it has no room for what is missing. */
export async function requireRoom({ files }: ModelDownload): Promise<void> {
  const cache = await caches.open(cacheName);
  const kept = await Promise.all(files.map(async ({ file }) => (await cache.match(weightsPath + file)) !== undefined));
  const missing = files.reduce((sum, { bytes }, at) => (kept[at] === true ? sum : sum + bytes), 0);
  const { quota, usage = 0 } = await navigator.storage.estimate();
  if (quota === undefined || missing <= quota - usage) return;
  throw noRoom(`${megabytes(missing)} are needed; this browser has room for ${megabytes(Math.max(0, quota - usage))}.`);
}

/** Lets go of weights of other models, and of other versions of this one. */
export async function dropOthers({ files }: ModelDownload): Promise<void> {
  const cache = await caches.open(cacheName);
  const own = new Set(files.map(({ file }) => weightsPath + file));
  for (const request of await cache.keys()) {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith(weightsPath) && !own.has(pathname)) await cache.delete(request);
  }
}

/** Undefined where it is not kept, or not as it was. */
async function keptShard(shard: ModelShard): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const cache = await caches.open(cacheName);
  const kept = await cache.match(weightsPath + shard.file);
  if (kept === undefined) return undefined;
  const bytes = await kept.arrayBuffer().then(
    (buffer) => new Uint8Array(buffer),
    () => undefined,
  );
  if (bytes !== undefined && (await digestOf(bytes)) === shard.sha256) return bytes;
  await cache.delete(weightsPath + shard.file);
  return undefined;
}

/** Kept only once it is whole and right. */
async function downloadedShard(shard: ModelShard, onBytes: (count: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const path = weightsPath + shard.file;
  const bytes = await received(path, shard.bytes, onBytes);
  const actual = await digestOf(bytes);
  if (actual !== shard.sha256) throw new DeviceError("download", `${path} must have sha256 ${shard.sha256}; what came has ${actual}.`);
  const cache = await caches.open(cacheName);
  await cache.put(path, new Response(bytes)).catch(refuseStorage);
  return bytes;
}

async function received(path: string, length: number, onBytes: (count: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const wrong = (what: string) => new DeviceError("download", `${path} must have ${String(length)} bytes; ${what}.`);
  // It is kept here; the browser's own cache would keep it once more.
  const response = await fetch(path, { cache: "no-store" }).catch((cause: unknown) => {
    throw new DeviceError("network", `${path} could not be reached.`, { cause });
  });
  if (!response.ok || response.body === null)
    throw new DeviceError("network", `${path} was answered with status ${String(response.status)}.`);
  const bytes = new Uint8Array(length);
  const reader = response.body.getReader();
  for (let at = 0; ;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new DeviceError("network", `The download of ${path} broke off after ${String(at)} of ${String(length)} bytes.`, { cause });
    });
    if (done) {
      if (at < length) throw wrong(`only ${String(at)} came`);
      return bytes;
    }
    if (at + value.length > length) {
      await reader.cancel().catch(() => undefined);
      throw wrong("more came");
    }
    bytes.set(value, at);
    at += value.length;
    onBytes(value.length);
  }
}

function refuseStorage(cause: unknown): never {
  throw noRoom(cause instanceof Error ? cause.message : String(cause), { cause });
}

function noRoom(message: string, options?: ErrorOptions): DeviceError {
  return new DeviceError("storage", message, options);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
