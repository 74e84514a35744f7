/** Those who wait for room at one model: shares in the order of who was served the longest ago, and each share's requests as they came. */

export interface Ticket {
  readonly share: string | null;
  /** Whether there is room for it; changes nothing. */
  readonly hasRoom: () => boolean;
  /** When its request last looked whether it is its turn. */
  lookedAt: number;
  /** What the pool was like when there was no room for it. */
  noRoomIn: number | string | undefined;
}

/** Whoever has not looked for so long does not keep others waiting: a few times as long as between two looks. */
const absentMilliseconds = 200;
/**
 * Shares that are asked at a time. More than one, since the first may need what few backends can do; not all, since each asking is a plan, and for
 * most of them the answer is the same.
 */
const mostAsked = 8;

export class Lane {
  /** The order of the keys is that of turns. */
  readonly #shares = new Map<string | null, Ticket[]>();

  get size(): number {
    let size = 0;
    for (const tickets of this.#shares.values()) size += tickets.length;
    return size;
  }

  sizeOf(share: string | null): number {
    return this.#shares.get(share)?.length ?? 0;
  }

  /** It waits. One that was taken for gone stands at the end again. */
  look(ticket: Ticket, now: number): void {
    ticket.lookedAt = now;
    const tickets = this.#shares.get(ticket.share);
    if (tickets === undefined) this.#shares.set(ticket.share, [ticket]);
    else if (!tickets.includes(ticket)) tickets.push(ticket);
  }

  /** Who gets the room that there is; undefined where there is none. `pool` is another value whenever there may be more room than before. */
  next(now: number, pool: number | string): Ticket | undefined {
    let asked = 0;
    for (const tickets of this.#shares.values()) {
      const first = tickets.find(({ lookedAt }) => now - lookedAt < absentMilliseconds);
      if (first === undefined) continue;
      if (first.noRoomIn !== pool) {
        if (first.hasRoom()) return first;
        first.noRoomIn = pool;
      }
      asked += 1;
      if (asked === mostAsked) break;
    }
    return undefined;
  }

  /** It has got room: its share's next turn comes after all others'. */
  served(ticket: Ticket): void {
    this.leave(ticket);
    const tickets = this.#shares.get(ticket.share);
    if (tickets === undefined) return;
    this.#shares.delete(ticket.share);
    this.#shares.set(ticket.share, tickets);
  }

  leave(ticket: Ticket): void {
    const tickets = this.#shares.get(ticket.share);
    const position = tickets?.indexOf(ticket) ?? -1;
    if (tickets === undefined || position < 0) return;
    tickets.splice(position, 1);
    if (tickets.length === 0) this.#shares.delete(ticket.share);
  }

  /** Those who have not looked since then leave. */
  forget(before: number): void {
    for (const [share, tickets] of this.#shares) {
      const left = tickets.filter(({ lookedAt }) => lookedAt >= before);
      if (left.length === 0) this.#shares.delete(share);
      else if (left.length < tickets.length) this.#shares.set(share, left);
    }
  }
}
