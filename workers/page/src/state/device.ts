/** The engine in this browser: when it is there, and which conversations it has. Its code is loaded where it is wanted, and not before. */
import type { modelCacheName } from "../../device/protocol.ts";
import type { DeviceClient } from "../device/client.ts";
import { FailureError, failureOf, type Failure } from "../api/failure.ts";
import { importSession } from "../api/session-file.ts";
import { attempt, soon } from "./attempt.ts";
import { recallModel, rememberModel } from "./device-model.ts";
import { loadModel } from "./load-model.ts";
import { conversationTitle } from "./selectors.ts";
import { releaseSessions } from "./sessions.ts";
import type { Store } from "./store.ts";
import type { Conversation } from "./types.ts";

export interface Device {
  /** Loads the model, from the network where this browser has not got it. */
  turnOn(): void;
  /** The server answers again, and goes on where the conversations are. */
  turnOff(): Promise<void>;
  /** With the model in memory. @throws FailureError */
  ready(): Promise<DeviceClient>;
  /** Hands a conversation that goes on here to the server. @throws FailureError where that fails; its text is then all there is. */
  handOver(conversation: Conversation): Promise<void>;
  forget(conversation: Conversation): Promise<void>;
  /** Whether this browser keeps the model's files. */
  keepsModel(): Promise<boolean>;
  /** Gives their room back; the next time they are downloaded. */
  dropModel(): Promise<void>;
}

const cacheName: typeof modelCacheName = "device-model";

/** States are megabytes; a slow line needs its time. */
const moveMs = 300_000;

export function createDevice(store: Store): Device {
  let client: DeviceClient | null = null;
  let loading: Promise<DeviceClient> | null = null;
  const moving = new Map<string, Promise<void>>();

  async function open(): Promise<DeviceClient> {
    const { DeviceClient } = await import("../device/client.ts").catch(() => {
      throw new FailureError({ kind: navigator.onLine ? "network" : "offline" });
    });
    return new DeviceClient();
  }

  async function load(): Promise<DeviceClient> {
    const given = () => store.get().models.find(({ download }) => download !== null);
    // A visit that begins with it may be one without a network.
    const model = given() ?? recallModel() ?? (await loadModel(store, soon()).then(given));
    if (model?.download === undefined || model.download === null) throw new FailureError({ kind: "network" });
    store.dispatch({ type: "device-changed", device: { status: "loading", received: 0, total: model.download.bytes, downloads: false } });
    client ??= await open();
    const onEvent = (progress: { received: number; total: number; downloads: boolean }) =>
      store.dispatch({ type: "device-changed", device: { status: "loading", ...progress } });
    const { threads } = await client.call("load", { id: model.id, spikes: model.spiking }, { onEvent });
    await client.call("retain", known());
    rememberModel(model);
    store.dispatch({ type: "device-changed", device: { status: "ready", threads } });
    return client;
  }

  /** One whose deletion can be undone still is. */
  function known(): readonly string[] {
    const { conversations, deleted } = store.get();
    return [...conversations, ...(deleted === null ? [] : [deleted])].map(({ id }) => id);
  }

  function close(): void {
    client?.end();
    client = loading = null;
  }

  function start(): Promise<DeviceClient> {
    loading ??= load().catch((error: unknown) => {
      // Turned off meanwhile: nobody waits for it any more.
      if (store.get().preferences.onDevice) giveUp(failureOf(error) ?? { kind: "device" });
      close();
      throw error;
    });
    return loading;
  }

  /** Answers come from the server then, which the person is told. */
  function giveUp(failure: Failure): void {
    store.dispatch({ type: "preferences-changed", preferences: { onDevice: false } });
    store.dispatch({ type: "device-changed", device: { status: "failed", failure } });
    store.dispatch({ type: "notice-changed", notice: { what: "device", failure } });
  }

  /** For what takes no model. */
  async function withClient<T>(use: (client: DeviceClient) => Promise<T>): Promise<T> {
    if (client !== null) return use(client);
    const borrowed = await open();
    return use(borrowed).finally(() => borrowed.end());
  }

  async function move(conversation: Conversation): Promise<void> {
    const { id } = conversation;
    const passphrase = crypto.randomUUID();
    await withClient(async (client) => {
      const given = await client.call("give", { conversation: id, name: conversationTitle(conversation)?.slice(0, 200) ?? "", passphrase });
      if (given === null) return;
      // Whatever becomes of it: it goes on at the server, and what is left here would only be in the way of its deletion.
      await client.call("forget", id);
      const facts = await importSession(given.file, passphrase, AbortSignal.timeout(moveMs));
      store.dispatch({ type: "session-moved", id, facts, answers: given.answers });
      releaseSessions(store, conversation);
    });
  }

  /** Whoever asks while it is under way waits for it. */
  function handOver(conversation: Conversation): Promise<void> {
    const { id } = conversation;
    const running = moving.get(id);
    if (running !== undefined) return running;
    const moved = move(conversation).finally(() => {
      moving.delete(id);
      // Whatever became of it: the server has the text, and goes on with that.
      store.dispatch({ type: "device-held", id, held: false });
    });
    moving.set(id, moved);
    return moved;
  }

  return {
    turnOn() {
      store.dispatch({ type: "preferences-changed", preferences: { onDevice: true } });
      // A browser that is short of room then asks before it drops what is kept.
      void navigator.storage.persist().catch(() => false);
      void start().catch(() => undefined);
    },
    async turnOff() {
      store.dispatch({ type: "preferences-changed", preferences: { onDevice: false } });
      store.dispatch({ type: "device-changed", device: { status: "off" } });
      for (const conversation of store.get().conversations) if (conversation.onDevice === true) await attempt(() => handOver(conversation));
      if (!store.get().preferences.onDevice) close();
    },
    ready: start,
    handOver,
    // A browser without a secure context has no caches, and no model.
    keepsModel: async () => "caches" in globalThis && (await caches.has(cacheName)),
    async dropModel() {
      await caches.delete(cacheName);
      store.dispatch({ type: "device-changed", device: { status: "off" } });
    },
    forget: async ({ id, onDevice }) => {
      if (onDevice === true) await attempt(() => withClient((client) => client.call("forget", id)));
    },
  };
}
