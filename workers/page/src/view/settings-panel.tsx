import { useId, useState } from "preact/hooks";
import { fieldNames } from "../api/chat-request.ts";
import { currentSettings } from "../state/selectors.ts";
import { defaultSettings, numberRules, parseNumberSetting } from "../state/settings.ts";
import { useApp } from "./context.ts";
import { DeviceSwitch } from "./device-switch.tsx";
import { Dialog } from "./dialog.tsx";
import { KeyField } from "./key-field.tsx";

export function SettingsPanel({ onClose }: { readonly onClose: () => void }) {
  const { state, texts, actions } = useApp();
  const settings = currentSettings(state);
  const countsSpikes = state.model?.spikes === true;
  const systemId = useId();
  const spikesId = useId();
  return (
    <Dialog kind="sheet" title={texts.settings} onClose={onClose}>
      <DeviceSwitch />
      <p class="panel-intro">{texts.settingsIntro}</p>
      <div class="field">
        <label for={systemId}>{texts.system}</label>
        <textarea
          id={systemId}
          class="input"
          rows={4}
          dir="auto"
          value={settings.system}
          placeholder={texts.systemPlaceholder}
          aria-describedby={`${systemId}-hint`}
          onInput={(event) => actions.changeSettings({ ...settings, system: event.currentTarget.value })}
        />
        <p class="hint" id={`${systemId}-hint`}>
          {texts.systemHint}
        </p>
      </div>
      <fieldset class="sampling">
        <legend>{texts.sampling}</legend>
        {numberRules.map((rule) => (
          <NumberField
            key={rule.setting}
            rule={rule}
            value={settings[rule.setting]}
            fallback={state.model?.defaults[fieldNames[rule.setting]]}
            onChange={(value) => actions.changeSettings({ ...settings, [rule.setting]: value })}
          />
        ))}
      </fieldset>
      <div class="check-field">
        <input
          id={spikesId}
          type="checkbox"
          checked={countsSpikes && settings.spikes === true}
          disabled={!countsSpikes}
          aria-describedby={`${spikesId}-hint`}
          onChange={(event) => actions.changeSettings({ ...settings, spikes: event.currentTarget.checked })}
        />
        <div>
          <label for={spikesId}>{texts.spikes}</label>
          <p class="hint" id={`${spikesId}-hint`}>
            {countsSpikes ? texts.spikesHint : state.model === null ? texts.spikesUnknown : texts.spikesNone(state.model.id)}
          </p>
        </div>
      </div>
      <button type="button" class="button" onClick={() => actions.changeSettings(defaultSettings)}>
        {texts.resetSettings}
      </button>
      <KeyField />
    </Dialog>
  );
}

interface NumberFieldProps {
  readonly rule: (typeof numberRules)[number];
  readonly value: number | null;
  /** What the server takes where there is no value, if it says. */
  readonly fallback: number | undefined;
  readonly onChange: (value: number | null) => void;
}

/** Keeps what is being typed, and takes it over, brought into range, when the field is left. Whenever nobody types, the field has the value in force. */
function NumberField({ rule, value, fallback, onChange }: NumberFieldProps) {
  const { texts } = useApp();
  const id = useId();
  const shown = value === null ? "" : String(value);
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <div class="number-field">
      <div>
        <label for={id}>{texts.settingNames[rule.setting]}</label>
        <p class="hint" id={`${id}-hint`}>
          {texts.settingHints[rule.setting]}
        </p>
      </div>
      <input
        id={id}
        class="input number"
        type="number"
        inputMode="decimal"
        min={rule.minimum}
        max={rule.maximum}
        step={rule.step}
        placeholder={fallback === undefined ? texts.serverDefault : String(fallback)}
        aria-describedby={`${id}-hint`}
        value={typed ?? shown}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onChange={(event) => {
          const parsed = event.currentTarget.validity.badInput ? undefined : parseNumberSetting(rule, event.currentTarget.value);
          if (parsed !== undefined) onChange(parsed);
          setTyped(null);
        }}
        onBlur={(event) => {
          // What is no number has no value, so that to Preact nothing has changed where there was none.
          if (event.currentTarget.validity.badInput) event.currentTarget.value = shown;
          setTyped(null);
        }}
      />
    </div>
  );
}
