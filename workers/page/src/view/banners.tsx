import { useApp } from "./context.ts";

/** What keeps the whole page from working, above everything it concerns. */
export function Banners() {
  const { state, texts, openPanel } = useApp();
  if (!state.online)
    return (
      <p class="banner" role="status">
        {texts.offlineBanner}
      </p>
    );
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
