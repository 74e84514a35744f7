import { useEffect, useId, useState } from "preact/hooks";
import { isRunning } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { DeviceProgress } from "./device-progress.tsx";
import { FailureNote } from "./failure-note.tsx";
import { formatMegabytes } from "./format.ts";

/** Has this browser run the model itself; says beforehand what that downloads. */
export function DeviceSwitch() {
  const { state, texts, actions } = useApp();
  const id = useId();
  const { device } = state;
  const { onDevice } = state.preferences;
  const model = state.models.find(({ download }) => download !== null);
  const bytes = model?.download?.bytes ?? null;
  const busy = state.conversations.some(isRunning);
  const [kept, setKept] = useState(false);
  useEffect(() => void actions.device.keepsModel().then(setKept), [device]);
  return (
    <section class="device">
      <div class="check-field">
        <input
          id={id}
          type="checkbox"
          role="switch"
          checked={onDevice}
          disabled={(bytes === null && !onDevice) || busy}
          aria-describedby={`${id}-hint`}
          onChange={(event) => (event.currentTarget.checked ? actions.device.turnOn() : void actions.device.turnOff())}
        />
        <div>
          <label for={id}>{texts.onDevice}</label>
          <p class="hint" id={`${id}-hint`}>
            {bytes === null ? texts.onDeviceNone : texts.onDeviceHint(formatMegabytes(bytes, texts.code))}
          </p>
          {onDevice && model !== undefined && state.model?.id !== model.id ? <p class="hint">{texts.onDeviceOther(model.id)}</p> : null}
        </div>
      </div>
      {device.status === "loading" ? <DeviceProgress device={device} /> : null}
      {device.status === "ready" ? (
        <p class="hint" role="status">
          {texts.deviceReady(device.threads)}
        </p>
      ) : null}
      {kept && !onDevice ? (
        <button type="button" class="button" onClick={() => void actions.device.dropModel()}>
          {texts.deviceDrop}
        </button>
      ) : null}
      {device.status === "failed" ? <FailureNote failure={device.failure} onRetry={actions.device.turnOn} /> : null}
    </section>
  );
}
