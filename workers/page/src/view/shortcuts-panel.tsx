import { useApp } from "./context.ts";
import { Dialog } from "./dialog.tsx";

export function ShortcutsPanel({ onClose }: { readonly onClose: () => void }) {
  const { texts } = useApp();
  return (
    <Dialog kind="window" title={texts.shortcuts} onClose={onClose}>
      <dl class="shortcuts">
        {texts.shortcutList.map((shortcut) => (
          <div key={shortcut.does}>
            <dt>{shortcut.does}</dt>
            <dd>
              {shortcut.keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
