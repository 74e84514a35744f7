import { createContext, deleteContext, listContexts, type ContextFacts } from "../api/contexts.ts";
import { FailureError, failureOf } from "../api/failure.ts";
import { noticed, soon } from "./attempt.ts";
import { loadModel } from "./load-model.ts";
import type { Store } from "./store.ts";
import { followReading, uploadText } from "./upload.ts";
import { dropUpload, keepUpload, keptUploads } from "./upload-storage.ts";

/** The documents at the edge and on their way there. */
export interface Documents {
  /** Makes a document of a text and uploads it. */
  add(name: string, text: Blob): void;
  /** Tries again what has failed. */
  retry(id: string): void;
  remove(id: string): void;
  /** Reads the server's list, and goes on with what was under way when the page was last closed. */
  refresh(): Promise<void>;
}

export function createDocuments(store: Store): Documents {
  const running = new Map<string, AbortController>();
  /** Texts that have not arrived as a whole; the browser's database has them too, where it takes them. */
  const texts = new Map<string, Blob>();

  function told(facts: ContextFacts): void {
    const size = texts.get(facts.id)?.size ?? null;
    store.dispatch({ type: "document-changed", document: { facts, size, failure: null } });
    if (facts.stage !== "uploading" && texts.delete(facts.id)) dropUpload(facts.id).catch(() => undefined);
  }

  async function bring(facts: ContextFacts): Promise<void> {
    const { id } = facts;
    if (running.has(id)) return;
    const controller = new AbortController();
    const { signal } = controller;
    running.set(id, controller);
    try {
      told(facts);
      const text = texts.get(id);
      if (text !== undefined) await uploadText(facts, text, told, signal);
      // Without its text here, an upload can only be watched: another tab may be at it.
      await followReading(id, told, signal);
    } catch (error) {
      if (!signal.aborted) store.dispatch({ type: "document-failed", id, failure: failureOf(error) ?? { kind: "protocol" } });
    } finally {
      running.delete(id);
    }
  }

  return {
    add(name, text) {
      void noticed(store, "document", async () => {
        if (text.size === 0) throw new FailureError({ kind: "empty" });
        const model = store.get().model ?? (await loadModel(store, soon()));
        const facts = await createContext(model.id, name, soon());
        texts.set(facts.id, text);
        // A browser without room for it uploads all the same; only a reload then ends the upload.
        await keepUpload({ id: facts.id, name, text }).catch(() => undefined);
        void bring(facts);
      });
    },
    retry(id) {
      const document = store.get().documents.find(({ facts }) => facts.id === id);
      if (document !== undefined) void bring(document.facts);
    },
    remove(id) {
      running.get(id)?.abort();
      texts.delete(id);
      void noticed(store, "document", async () => {
        await deleteContext(id, soon());
        await dropUpload(id).catch(() => undefined);
        store.dispatch({ type: "document-removed", id });
      });
    },
    async refresh() {
      const contexts = await listContexts(soon()).catch(() => null);
      if (contexts === null) return;
      for (const { id, text } of await keptUploads().catch(() => [])) texts.set(id, text);
      store.dispatch({ type: "documents-listed", contexts });
      for (const facts of contexts) if (facts.stage === "uploading" ? texts.has(facts.id) : facts.stage === "reading") void bring(facts);
    },
  };
}
