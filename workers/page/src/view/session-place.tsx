import { currentConversation } from "../state/selectors.ts";
import { useApp } from "./context.ts";

/** Where the server keeps the open conversation's state. */
export function SessionPlace() {
  const { state, texts } = useApp();
  const facts = currentConversation(state)?.facts;
  if (facts === undefined || facts.turns === 0) return null;
  return <span> · {texts.statePlaces[facts.tier]}</span>;
}
