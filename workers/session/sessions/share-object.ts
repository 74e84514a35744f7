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

const storageKey = "share";

/** One link to a fork, until it expires. */
export class ShareObject extends DurableObject<SessionEnvironment> {
  async open(record: ShareRecord): Promise<void> {
    await this.ctx.storage.put(storageKey, record);
    await this.ctx.storage.setAlarm(record.expires * 1000);
  }

  /** Null for one that was never made, or has ended: the clock decides, the alarm only cleans up. */
  async get(): Promise<ShareRecord | null> {
    const record = await this.ctx.storage.get<ShareRecord>(storageKey);
    return record === undefined || Date.now() >= record.expires * 1000 ? null : record;
  }

  /** Only its own tenant ends it. */
  async end(tenant: string): Promise<boolean> {
    const record = await this.ctx.storage.get<ShareRecord>(storageKey);
    if (record?.tenant !== tenant) return false;
    await this.#remove(record);
    return true;
  }

  override async alarm(): Promise<void> {
    const record = await this.ctx.storage.get<ShareRecord>(storageKey);
    if (record === undefined) return;
    if (Date.now() < record.expires * 1000) await this.ctx.storage.setAlarm(record.expires * 1000);
    else await this.#remove(record);
  }

  async #remove({ id, tenant, session }: ShareRecord): Promise<void> {
    await unlessBroken(() => sessionAt(this.env, tenant, session, "share").delete(tenant));
    await unlessBroken(() => directoryOf(this.env, tenant).removeShare(id));
    await this.ctx.storage.deleteAll();
  }
}
