import { currentConversation } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { formatMegabytes } from "./format.ts";

/** How large the open conversation's memory is, and where the server keeps it. */
export function SessionPlace() {
  const { state, texts } = useApp();
  const facts = currentConversation(state)?.facts;
  if (facts === undefined || facts.turns === 0) return null;
  return <span class="place"> · {texts.statePlaces[facts.tier](formatMegabytes(facts.stateBytes, texts.code))}</span>;
}
