import { render } from "preact";
import { keepForOffline } from "./offline.ts";
import { createActions } from "./state/actions.ts";
import { loadModel } from "./state/load-model.ts";
import { persist } from "./state/persistence.ts";
import { loadPreferences } from "./state/preferences.ts";
import { shareInAddress } from "./state/share-link.ts";
import { createStore, type Store } from "./state/store.ts";
import { App } from "./view/app.tsx";
import { pause } from "../../waiting/within.ts";

const store = createStore({
  preferences: loadPreferences(),
  conversations: [],
  currentId: null,
  models: [],
  model: null,
  modelFailure: null,
  online: navigator.onLine,
  device: { status: "off" },
  keepsSessions: true,
  deleted: null,
  documents: [],
  about: null,
  shared: null,
  notice: null,
});
const actions = createActions(store);
const root = document.querySelector("#app");
if (root === null) throw new Error("index.html has no #app");

for (const event of ["online", "offline"])
  addEventListener(event, () => store.dispatch({ type: "online-changed", online: navigator.onLine }));
addEventListener("hashchange", lookAtShare);
persist(store)
  .catch((error: unknown) => console.warn("the history cannot be read, so this visit is not remembered", error))
  .finally(() => {
    render(<App store={store} actions={actions} />, root);
    lookAtShare();
    actions.resumeAnswers();
    void begin(store);
    if (store.get().preferences.onDevice) actions.device.turnOn();
    keepForOffline().catch((error: unknown) => console.warn("the page cannot be kept for visits without a network", error));
  });

function lookAtShare(): void {
  const share = shareInAddress();
  if (share !== null) void actions.sharing.look(share);
}

async function begin(target: Store): Promise<void> {
  await keepLookingForModel(target);
  await actions.refresh();
  await watchForModel(target);
}

/** How long to leave a server alone that did not say which model it has. */
const modelRetryMs = 3_000;

/** While no model can answer, whether one can meanwhile. */
async function watchForModel(target: Store): Promise<void> {
  while (true) {
    await pause(modelRetryMs);
    if (target.get().model?.status === "unavailable") actions.refreshModels();
  }
}

async function keepLookingForModel(target: Store): Promise<void> {
  while (target.get().model === null) {
    const found = await loadModel(target, AbortSignal.timeout(30_000)).catch(() => null);
    if (found === null) await pause(modelRetryMs);
  }
}
