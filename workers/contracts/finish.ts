/** Why things end, in one place: what is added here is a case that every `switch` over it must name. */

/** Why a backend ends a generation by itself. */
export const backendFinishes = ["stop", "length"] as const;
export type BackendFinish = (typeof backendFinishes)[number];

/** Why a choice ends: as its backend did, or because of what its text says. */
export const choiceFinishes = [...backendFinishes, "tool_calls", "content_filter"] as const;
export type ChoiceFinish = (typeof choiceFinishes)[number];

/** Why a session's turn ended. */
export const turnFinishes = [...choiceFinishes, "cancelled", "failed"] as const;
export type TurnFinish = (typeof turnFinishes)[number];
