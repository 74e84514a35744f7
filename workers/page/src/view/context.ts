import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Texts } from "../language/english.ts";
import type { Actions } from "../state/actions.ts";
import type { State } from "../state/types.ts";

/** What can lie over the page, one at a time. */
export type Panel = "menu" | "settings" | "code" | "shortcuts" | "share" | "documents" | "import" | "models";

export interface AppContext {
  readonly state: State;
  readonly actions: Actions;
  readonly texts: Texts;
  readonly openPanel: (panel: Panel) => void;
}

export const AppContextProvider = createContext<AppContext | null>(null);

export function useApp(): AppContext {
  const context = useContext(AppContextProvider);
  if (context === null) throw new Error("useApp must be called below AppContextProvider");
  return context;
}
