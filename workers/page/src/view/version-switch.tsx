import type { Message } from "../state/types.ts";
import { useApp } from "./context.ts";
import { NextIcon, PreviousIcon } from "./icons.tsx";

interface VersionSwitchProps {
  readonly message: Message;
  /** All that have stood in its place, itself included. */
  readonly versions: readonly Message[];
  readonly disabled: boolean;
}

/** Goes back to what edit or regenerate has replaced, and forth again; nothing where nothing was replaced. */
export function VersionSwitch({ message, versions, disabled }: VersionSwitchProps) {
  const { texts, actions } = useApp();
  if (versions.length < 2) return null;
  const at = versions.findIndex(({ id }) => id === message.id);
  const step = (to: number, label: string, Icon: typeof NextIcon) => {
    const target = versions[to];
    return (
      <button
        type="button"
        class="icon-button"
        aria-label={label}
        title={label}
        // A button that became disabled under the focus would lose it.
        aria-disabled={disabled || target === undefined}
        onClick={() => !disabled && target !== undefined && actions.chooseVersion(target.id)}
      >
        <Icon />
      </button>
    );
  };
  return (
    <div class="versions" role="group" aria-label={texts.versions}>
      {step(at - 1, texts.previousVersion, PreviousIcon)}
      <span>{`${at + 1} / ${versions.length}`}</span>
      {step(at + 1, texts.nextVersion, NextIcon)}
    </div>
  );
}
