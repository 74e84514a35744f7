/** Links to read-only copies of conversations, and files of them. */
import type { Failure } from "../api/failure.ts";
import { exportSession, importSession } from "../api/session-file.ts";
import { callSession, creation } from "../api/sessions.ts";
import { fetchShared, revokeShare, shareSession, type SharedSession } from "../api/shares.ts";
import { fetchTurns } from "../api/turns.ts";
import { attempt, soon } from "./attempt.ts";
import type { Device } from "./device.ts";
import { openSession } from "./sessions.ts";
import type { Store } from "./store.ts";
import type { Conversation } from "./types.ts";

/** Files are as large as a state is; a slow line needs its time. */
const fileMs = 300_000;

/** Each gives the failure, or null. */
export interface Sharing {
  share(conversation: Conversation, seconds: number): Promise<Failure | null>;
  revoke(conversation: Conversation, share: string): Promise<Failure | null>;
  /** Shows what somebody has shared. */
  look(share: string): Promise<void>;
  /** Goes on with it in a conversation of one's own. */
  goOn(shared: SharedSession): Promise<Failure | null>;
  /** `save` gets the file. */
  exportFile(conversation: Conversation, passphrase: string, save: (file: Blob) => void): Promise<Failure | null>;
  importFile(file: Blob, passphrase: string): Promise<Failure | null>;
}

export function createSharing(store: Store, device: Device): Sharing {
  /** What goes on in this browser goes to the server first. */
  async function sessionOf(conversation: Conversation): Promise<string | undefined> {
    if (conversation.onDevice === true) await device.handOver(conversation);
    return store.get().conversations.find(({ id }) => id === conversation.id)?.session?.id;
  }

  return {
    share: (conversation, seconds) =>
      attempt(async () => {
        const session = await sessionOf(conversation);
        if (session === undefined) return;
        const share = await shareSession(session, seconds, soon());
        store.dispatch({ type: "shares-changed", id: conversation.id, shares: [...sharesOf(store, conversation), share] });
      }),
    revoke: (conversation, share) =>
      attempt(async () => {
        await revokeShare(share, soon());
        const shares = sharesOf(store, conversation).filter(({ id }) => id !== share);
        store.dispatch({ type: "shares-changed", id: conversation.id, shares });
      }),
    async look(id) {
      const show = (session: SharedSession | null, failure: Failure | null) =>
        store.dispatch({ type: "shared-changed", shared: { id, session, failure } });
      show(null, null);
      const failure = await attempt(async () => show(await fetchShared(id, soon()), null));
      if (failure !== null) show(null, failure);
    },
    goOn: (shared) =>
      attempt(async () => {
        const facts = await callSession(creation(shared.model, shared.name || null, { share: shared.id }), soon());
        openSession(store, facts, shared.turns);
      }),
    exportFile: (conversation, passphrase, save) =>
      attempt(async () => {
        const session = await sessionOf(conversation);
        if (session !== undefined) save(await exportSession(session, passphrase, AbortSignal.timeout(fileMs)));
      }),
    importFile: (file, passphrase) =>
      attempt(async () => {
        const facts = await importSession(file, passphrase, AbortSignal.timeout(fileMs));
        openSession(store, facts, await fetchTurns(facts.id, soon()));
      }),
  };
}

function sharesOf(store: Store, { id }: Conversation) {
  const now = Date.now() / 1000;
  const shares = store.get().conversations.find((conversation) => conversation.id === id)?.shares ?? [];
  return shares.filter(({ expires }) => expires > now);
}
