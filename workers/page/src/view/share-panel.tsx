import { useId, useState } from "preact/hooks";
import { currentConversation } from "../state/selectors.ts";
import { shareLink } from "../state/share-link.ts";
import type { Conversation } from "../state/types.ts";
import { useApp } from "./context.ts";
import { CopyButton } from "./copy-button.tsx";
import { Dialog } from "./dialog.tsx";
import { FailureNote } from "./failure-note.tsx";
import { formatDate } from "./format.ts";
import { DocumentIcon } from "./icons.tsx";
import { useAttempt } from "./use-attempt.ts";

const shareSeconds = { hour: 3_600, day: 86_400, week: 7 * 86_400, month: 30 * 86_400 } as const;
const shareTimes = ["hour", "day", "week", "month"] as const;

export function SharePanel({ onClose }: { readonly onClose: () => void }) {
  const { state, texts } = useApp();
  const conversation = currentConversation(state);
  return (
    <Dialog kind="window" title={texts.shareTitle} onClose={onClose}>
      <p class="panel-intro">{texts.shareIntro}</p>
      {conversation?.document === undefined ? null : (
        <p class="share-document">
          <DocumentIcon />
          <bdi>{texts.shareDocument(conversation.document.name)}</bdi>
        </p>
      )}
      {conversation?.session === undefined ? <p>{texts.shareUnsaved}</p> : <ShareForm conversation={conversation} />}
    </Dialog>
  );
}

function ShareForm({ conversation }: { readonly conversation: Conversation }) {
  const { texts, actions } = useApp();
  const [time, setTime] = useState<(typeof shareTimes)[number]>("week");
  const { busy, failure, run } = useAttempt();
  const id = useId();
  return (
    <>
      <form
        class="share-form"
        onSubmit={(event) => {
          event.preventDefault();
          run(() => actions.sharing.share(conversation, shareSeconds[time]));
        }}
      >
        <label for={id}>{texts.shareFor}</label>
        <select
          id={id}
          class="input"
          value={time}
          onChange={(event) => setTime(shareTimes.find((known) => known === event.currentTarget.value) ?? time)}
        >
          {shareTimes.map((known) => (
            <option key={known} value={known}>
              {texts.shareTimes[known]}
            </option>
          ))}
        </select>
        <button type="submit" class="button primary" disabled={busy} aria-busy={busy}>
          {texts.shareMake}
        </button>
      </form>
      {failure === null ? null : <FailureNote failure={failure} onRetry={null} />}
      <Links conversation={conversation} revoke={(share) => run(() => actions.sharing.revoke(conversation, share))} />
    </>
  );
}

interface LinksProps {
  readonly conversation: Conversation;
  readonly revoke: (share: string) => void;
}

function Links({ conversation, revoke }: LinksProps) {
  const { texts } = useApp();
  const shares = (conversation.shares ?? []).filter(({ expires }) => expires * 1000 > Date.now());
  return (
    <ul class="links" aria-label={texts.shareLinks}>
      {shares.map(({ id, expires }) => (
        <li key={id}>
          <input
            class="input"
            readOnly
            value={shareLink(id)}
            aria-label={texts.shareLink}
            onFocus={(event) => event.currentTarget.select()}
          />
          <span class="hint">{texts.shareUntil(formatDate(expires, texts.code))}</span>
          <CopyButton label={texts.shareCopy} text={shareLink(id)} />
          <button type="button" class="button" onClick={() => revoke(id)}>
            {texts.shareRevoke}
          </button>
        </li>
      ))}
    </ul>
  );
}
