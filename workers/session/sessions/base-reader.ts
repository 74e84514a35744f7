/** Where a session's next turn starts: at its newest state, and what lies far behind the conversation's end is brought up to it. */
import { askPool } from "../generation/pool.ts";
import type { SessionEnvironment } from "../environment.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { releaseOwned } from "../snapshots/release-owned.ts";
import type { TurnBase } from "../generation/turn-base.ts";
import { ownerOf } from "./contract.ts";
import { partTokens, readPart, type Base } from "../generation/read-tokens.ts";
import type { RecordRow, SessionRecord } from "./record.ts";
import type { TokenLog } from "./token-log.ts";
import type { StoredTurn, TurnRows } from "./turn-rows.ts";

export interface BaseDependencies {
  readonly environment: SessionEnvironment;
  readonly record: RecordRow;
  readonly turns: TurnRows;
  readonly tokens: TokenLog;
}

export class BaseReader {
  readonly #dependencies: BaseDependencies;
  readonly #abort = new AbortController();

  constructor(dependencies: BaseDependencies) {
    this.#dependencies = dependencies;
  }

  stop(): void {
    this.#abort.abort();
  }

  /**
   * What a turn would have to read beside its own is read before it where that is much, in parts whose states are kept, so that whoever asks
   * again goes on from there. All of it is the turn's to read where the model's backend `keepsStates` not. @throws ServiceError where the
   * engine fails.
   */
  async read(record: SessionRecord, keepsStates: boolean): Promise<TurnBase> {
    const { environment, tokens, turns } = this.#dependencies;
    const end = tokens.length;
    if (!keepsStates) return { snapshot: null, tokens: 0, unread: tokens.read(0, end) };
    const last = turns.get(turns.last);
    let base = this.#newest();
    const part = end === base.tokens ? 0 : await partTokens(environment.POOL, record.model);
    if (end - base.tokens > part && last !== undefined) base = await this.#bringUp(base, end, part, record, last);
    return { ...base, unread: tokens.read(base.tokens, end) };
  }

  #newest(): Base {
    const newest = this.#dependencies.turns.withSnapshot();
    return newest === undefined ? { snapshot: null, tokens: 0 } : { snapshot: newest.snapshot, tokens: newest.snapshotTokens };
  }

  /** The state is the last turn's from then on. */
  async #bringUp(from: Base, end: number, part: number, { id, tenant, model }: SessionRecord, last: StoredTurn): Promise<Base> {
    const { environment, record, tokens, turns } = this.#dependencies;
    const store: SnapshotStore = environment.TENANT_OBJECT.getByName(tenant);
    const options = {
      ...{
        store,
        model,
        textBefore: (count: number) => tokens.read(0, count),
        work: "rebuild" as const,
        session: id,
      },
      ...{ owner: ownerOf(id, last.number), signal: this.#abort.signal },
    };
    let base = from;
    for (let number = 0; base.tokens < end; number++) {
      const upTo = Math.min(end, base.tokens + part);
      const stateAt = record.get()?.lastBackend ?? null;
      const asked = askPool(environment, { tenant, priority: "interactive", session: id, place: null, stateAt });
      const read = await readPart(base, tokens.read(base.tokens, upTo), { ...options, askPool: asked, number, isLast: upTo === end });
      this.#abort.signal.throwIfAborted();
      // A store that keeps nothing costs the turn time: it reads the rest itself.
      if (read.outcome === "not kept") return base;
      if (read.outcome === "base lost") {
        if (base.snapshot !== null) turns.forget(base.snapshot);
        base = this.#newest();
        continue;
      }
      base = read.base;
      turns.setState(last.number, base.snapshot, base.tokens);
      if (read.backend !== null) record.change({ lastBackend: read.backend });
      await releaseOwned(store, id, read.letGo);
    }
    return base;
  }
}
