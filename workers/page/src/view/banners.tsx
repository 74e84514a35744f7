import { answersHere } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { DeviceProgress } from "./device-progress.tsx";

/** What keeps the whole page from working, above everything it concerns. */
export function Banners() {
  const { state, texts, openPanel } = useApp();
  if (!state.online)
    return (
      <p class="banner" role="status">
        {answersHere(state) ? texts.offlineOnDevice : texts.offlineBanner}
      </p>
    );
  if (state.device.status === "loading") return <DeviceProgress device={state.device} />;
  if (state.modelFailure?.kind !== "key") return null;
  return (
    <p class="banner" role="status">
      {texts.keyBanner}{" "}
      <button type="button" class="banner-action" onClick={() => openPanel("settings")}>
        {texts.openSettings}
      </button>
    </p>
  );
}
