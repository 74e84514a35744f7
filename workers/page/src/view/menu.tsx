import { useId, useRef } from "preact/hooks";
import { MoreIcon } from "./icons.tsx";

export interface MenuItem {
  readonly label: string;
  readonly danger?: boolean;
  readonly run: () => void;
}

interface MenuProps {
  readonly label: string;
  readonly items: readonly MenuItem[];
}

const gapPx = 4;
const edgePx = 8;

/** A button that opens a short list of actions in the browser's top layer, where no scrolling container can cut it off. */
export function Menu({ label, items }: MenuProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const popover = useRef<HTMLDivElement>(null);

  function place(): void {
    if (button.current === null || popover.current === null) return;
    const anchor = button.current.getBoundingClientRect();
    const { width, height } = popover.current.getBoundingClientRect();
    const below = anchor.bottom + gapPx;
    const top = below + height > innerHeight - edgePx ? anchor.top - gapPx - height : below;
    popover.current.style.top = `${Math.max(edgePx, top)}px`;
    popover.current.style.left = `${Math.max(edgePx, Math.min(anchor.right - width, innerWidth - edgePx - width))}px`;
  }

  return (
    <>
      <button ref={button} type="button" class="icon-button" aria-label={label} title={label} popovertarget={id}>
        <MoreIcon />
      </button>
      <div
        ref={popover}
        id={id}
        popover="auto"
        class="menu"
        role="group"
        aria-label={label}
        onToggle={(event) => event.newState === "open" && place()}
      >
        {items.map((item) => (
          <button
            key={item.label}
            type="button"
            class={item.danger === true ? "menu-item danger" : "menu-item"}
            onClick={() => {
              popover.current?.hidePopover();
              item.run();
            }}
          >
            {item.label}
          </button>
        ))}
      </div>
    </>
  );
}
