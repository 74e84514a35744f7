import { useEffect, useState } from "preact/hooks";
import type { Action } from "./action.ts";
import { reduce } from "./reducer.ts";
import type { State } from "./types.ts";

export interface Store {
  get(): State;
  dispatch(action: Action): void;
  /** Calls back after every change; returns the way to stop that. */
  subscribe(listener: () => void): () => void;
}

export function createStore(initial: State): Store {
  let state = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    dispatch(action) {
      const next = reduce(state, action);
      if (next === state) return;
      state = next;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore(store: Store): State {
  const [state, setState] = useState(store.get());
  useEffect(() => {
    // A change between the first render and this effect would otherwise go unseen.
    setState(store.get());
    return store.subscribe(() => setState(store.get()));
  }, [store]);
  return state;
}
