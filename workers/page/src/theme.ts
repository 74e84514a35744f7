// Runs as a blocking script before the first paint, so that a chosen theme never flashes in the other one's colours.
try {
  const preferences = JSON.parse(localStorage.getItem("spikingbrain.preferences") ?? "{}") as { readonly theme?: unknown };
  if (preferences.theme === "light" || preferences.theme === "dark") document.documentElement.dataset["theme"] = preferences.theme;
} catch {
  // Unreadable preferences leave the system's theme.
}
