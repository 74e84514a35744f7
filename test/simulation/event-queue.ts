/** What happens next: a heap by time; of one time, in the order in which it was put there. Milliseconds. */
export class EventQueue {
  readonly #heap: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;
  #now = 0;

  get now(): number {
    return this.#now;
  }

  add(at: number, run: () => void): void {
    const heap = this.#heap;
    const event = { at: Math.max(at, this.#now), order: this.#order++, run };
    let position = heap.length;
    heap.push(event);
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[position] = above;
      position = parent;
    }
    heap[position] = event;
  }

  /** Until nothing is left, or `isOver` says so. */
  run(isOver: () => boolean): void {
    while (!isOver()) {
      const event = this.#take();
      if (event === undefined) return;
      this.#now = event.at;
      event.run();
    }
  }

  #take(): { readonly at: number; readonly run: () => void } | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let position = 0;
    while (true) {
      let child = 2 * position + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left === undefined) break;
      let least = left;
      if (right !== undefined && isBefore(right, left)) {
        least = right;
        child += 1;
      }
      if (!isBefore(least, last)) break;
      heap[position] = least;
      position = child;
    }
    heap[position] = last;
    return first;
  }
}

function isBefore(left: { readonly at: number; readonly order: number }, right: { readonly at: number; readonly order: number }): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order);
}
