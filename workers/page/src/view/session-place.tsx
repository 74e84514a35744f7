import { currentConversation } from "../state/selectors.ts";
import { useApp } from "./context.ts";

/** Where the open conversation's state is kept: by the server, or here. */
export function SessionPlace() {
  const { state, texts } = useApp();
  const conversation = currentConversation(state);
  if (conversation?.onDevice === true) return <span> · {texts.stateOnDevice}</span>;
  const facts = conversation?.facts;
  if (facts === undefined || facts.turns === 0) return null;
  return <span> · {texts.statePlaces[facts.tier]}</span>;
}
