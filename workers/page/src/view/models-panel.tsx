import { useEffect, useId } from "preact/hooks";
import type { ServedModel } from "../api/model.ts";
import { currentConversation } from "../state/selectors.ts";
import { useApp } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Which model answers: those that can't are there too, with the reason. */
export function ModelsPanel({ onClose }: { readonly onClose: () => void }) {
  const { state, texts, actions } = useApp();
  useEffect(actions.refreshModels, []);
  return (
    <Dialog kind="window" title={texts.modelsTitle} onClose={onClose}>
      <p class="panel-intro">{currentConversation(state) === null ? texts.modelsIntro : texts.modelsNewChat}</p>
      <fieldset class="models">
        <legend class="visually-hidden">{texts.model}</legend>
        {state.models.map((model) => (
          <ModelOption key={model.id} model={model} />
        ))}
      </fieldset>
    </Dialog>
  );
}

function ModelOption({ model }: { readonly model: ServedModel }) {
  const { state, texts, actions } = useApp();
  const id = useId();
  const { status, reason, form } = model;
  return (
    <div class="check-field" data-status={status}>
      <input
        id={id}
        type="radio"
        name="model"
        checked={state.model?.id === model.id}
        disabled={status === "unavailable"}
        aria-describedby={`${id}-hint`}
        onChange={() => actions.chooseModel(model.id)}
      />
      <div>
        <label for={id}>
          {model.id} <span class="model-status">{texts.modelStatus[status]}</span>
        </label>
        <p class="hint" id={`${id}-hint`}>
          {form}
          {reason === null ? null : <span class="model-reason">{reason}</span>}
        </p>
      </div>
    </div>
  );
}
