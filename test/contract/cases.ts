/** Which cases of the suites a backend is put to: those of an ability that its description does not name are left out, and it says so. */
import { expect } from "vitest";
import type { Ability } from "../../workers/contracts/abilities.ts";
import type { ModelDescription } from "../../workers/contracts/engine.ts";

/** Whether the backend has an ability; where it has not, the current case is over, and the reason is printed. */
export type Can = (ability: Ability) => boolean;

export function casesOf({ id, abilities }: Pick<ModelDescription, "id" | "abilities">): Can {
  return (ability) => {
    if (abilities.includes(ability)) return true;
    const { currentTestName = "" } = expect.getState();
    console.info(`left out: ${currentTestName}: the description of '${id}' does not name the ability '${ability}'`);
    return false;
  };
}
