import { DurableObject } from "cloudflare:workers";
import type { SessionEnvironment } from "../environment.ts";
import { unlessBroken } from "../storage/broken.ts";
import { directoryOf, sessionAt } from "./find-session.ts";

export interface ShareRecord {
  readonly id: string;
  readonly tenant: string;
  /** The fork that is shown; nothing is added to it. */
  readonly session: string;
  /** Unix seconds. */
  readonly expires: number;
}

interface StoredShare extends ShareRecord {
  /** Its fork and its place in the list are being made: nobody has heard of it yet. */
  readonly isOpening?: true;
}

const storageKey = "share";
/** Far longer than it takes to make one: who makes it is gone then, and what was made goes too. */
const openingMilliseconds = 300_000;

/** One link to a fork, until it expires. */
export class ShareObject extends DurableObject<SessionEnvironment> {
  /** Before anything of it is made, so that whatever is made and never opened has somebody who removes it. */
  async begin(record: ShareRecord): Promise<void> {
    await this.#put({ ...record, isOpening: true }, Date.now() + openingMilliseconds);
  }

  /** False for one that has been ended meanwhile. */
  async open(): Promise<boolean> {
    const stored = await this.#stored();
    if (stored === undefined) return false;
    const { isOpening: _begun, ...record } = stored;
    await this.#put(record, record.expires * 1000);
    return true;
  }

  /** Null for one that was never opened, or has ended: the clock decides, the alarm only cleans up. */
  async get(): Promise<ShareRecord | null> {
    const record = await this.#stored();
    return record === undefined || record.isOpening === true || Date.now() >= record.expires * 1000 ? null : record;
  }

  /** Only its own tenant ends it. */
  async end(tenant: string): Promise<boolean> {
    const record = await this.#stored();
    if (record?.tenant !== tenant) return false;
    await this.#remove(record);
    return true;
  }

  override async alarm(): Promise<void> {
    const record = await this.#stored();
    if (record === undefined) return;
    if (record.isOpening !== true && Date.now() < record.expires * 1000) await this.ctx.storage.setAlarm(record.expires * 1000);
    else await this.#remove(record);
  }

  async #stored(): Promise<StoredShare | undefined> {
    return await this.ctx.storage.get<StoredShare>(storageKey);
  }

  /** Unix milliseconds of its next look at itself; both are written or neither. */
  async #put(record: StoredShare, alarm: number): Promise<void> {
    await Promise.all([this.ctx.storage.put(storageKey, record), this.ctx.storage.setAlarm(alarm)]);
  }

  async #remove({ id, tenant, session }: ShareRecord): Promise<void> {
    await unlessBroken(() => sessionAt(this.env, tenant, session, "share").delete(tenant));
    await unlessBroken(() => directoryOf(this.env, tenant).removeShare(id));
    await this.ctx.storage.deleteAll();
  }
}
