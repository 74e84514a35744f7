/** Conversations on their way between the server and this engine, as session files under a passphrase that only the page knows. */
import { openSessionFile, sealSessionFile } from "../../session-file/session-file.ts";
import { newPassphraseKey, passphraseKey } from "../../session-file/passphrase-key.ts";
import { parseExact } from "../../encoding/exact-json.ts";
import type { Remembered, RememberedTurn } from "./conversation.ts";
import { DeviceError } from "./failures.ts";
import type { GivenConversation, GiveOrder, SealedConversation } from "./protocol.ts";

/** What the transcript in a session file is; the server that wrote it has checked it. */
interface Transcript {
  readonly turns: readonly RememberedTurn[];
  readonly stateTokens: number;
  readonly opening?: unknown;
}

/** @throws ServiceError where the file is not valid; DeviceError where it is of another model. */
export async function opened(
  { conversation, file, passphrase }: SealedConversation,
  { model, tokenizer }: Pick<Remembered, "model" | "tokenizer">,
): Promise<Remembered> {
  const content = await openSessionFile(file.stream(), ({ sealed }) => passphraseKey(passphrase, sealed));
  if (content.header.model !== model || content.header.tokenizer !== tokenizer)
    throw new DeviceError("device", "The server's conversation is of another version of the model than the one on this device.");
  const { turns, stateTokens, opening } = content.transcript as Transcript;
  const bytes = content.state === null ? undefined : new Uint8Array(await new Response(content.state).arrayBuffer());
  return {
    ...{ id: conversation, model, tokenizer, turns, updated: Date.now() },
    ...(opening === undefined ? {} : { opening: JSON.stringify(opening) }),
    tokens: Uint32Array.from(content.tokens),
    states: bytes === undefined || stateTokens === 0 ? [] : [{ tokens: stateTokens, bytes }],
  };
}

export async function sealed(remembered: Remembered, { name, passphrase }: Omit<GiveOrder, "conversation">): Promise<GivenConversation> {
  const { model, tokenizer, turns, opening, tokens, states } = remembered;
  const state = states.at(-1);
  const { key, sealed } = await newPassphraseKey(passphrase);
  const file = sealSessionFile(
    {
      header: { model, tokenizer, tokens: tokens.length, created: Math.floor(Date.now() / 1000), sealed },
      transcript: {
        name,
        turns,
        stateTokens: state?.tokens ?? 0,
        ...(opening === undefined ? {} : { opening: typeof opening === "string" ? parseExact(opening) : opening }),
      },
      tokens,
      state: state === undefined ? null : new Blob([state.bytes]).stream(),
      // The first that may have anything that another file had.
      version: opening === undefined && turns.every(({ messages }) => messages.every(isPlain)) ? 1 : 3,
    },
    key,
  );
  const answers = turns.flatMap(({ number, messages, finish }) => {
    const last = messages.at(-1);
    return last?.role === "assistant" ? [{ turn: number, text: last.content, finish }] : [];
  });
  return { file: await new Response(file).blob(), answers };
}

/** Neither calls of functions nor speakers' names. */
const isPlain = (message: object): boolean => Object.keys(message).every((key) => key === "role" || key === "content");
