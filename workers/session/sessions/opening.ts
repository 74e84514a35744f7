/**
 * What a conversation begins with: the instructions before its first turn's own messages, and the functions that it tells of. Those of a response
 * are not carried on to the next, so that a turn may want others. Only the first turn's own tokens are made anew then: all that was said after them stays, token for token.
 */
import { ServiceError } from "../../contracts/errors.ts";
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import type { TurnOrder } from "../../contracts/session.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { invalidRequest } from "../failures.ts";
import { overwriteRemoved, sessionText } from "../storage/erase.ts";
import type { RecordRow, SessionRecord } from "./record.ts";
import { turnPrompt, type TurnOpening } from "../../models/turn-prompt.ts";
import type { TokenLog } from "./token-log.ts";
import type { TurnRows } from "./turn-rows.ts";

export interface OpeningParts {
  readonly storage: DurableObjectStorage;
  readonly record: RecordRow;
  readonly turns: TurnRows;
  readonly tokens: TokenLog;
}

export interface OtherOpening {
  /** How many tokens more the conversation has with it. */
  readonly added: number;
  /** Changes it; the turns whose states were let go of. */
  apply(): readonly number[];
}

type StoredOpening = Pick<SessionRecord, "instructions" | "tools" | "firstPromptTokens">;
type WantedOpening = Pick<TurnOrder, "instructions" | "tools">;

/** What a copy of the conversation begins with too. */
export const openingOf = ({ instructions, tools, firstPromptTokens }: SessionRecord): StoredOpening => ({
  ...(instructions === undefined ? {} : { instructions }),
  ...(tools === undefined ? {} : { tools }),
  ...(firstPromptTokens === undefined ? {} : { firstPromptTokens }),
});

export class Opening {
  readonly #parts: OpeningParts;

  constructor(parts: OpeningParts) {
    this.#parts = parts;
  }

  /** What the turn wants changed; undefined where nothing. @throws ServiceError where it can't be. */
  changeFor(model: ServedModel, order: WantedOpening): OtherOpening | undefined {
    const { record, turns, tokens, storage } = this.#parts;
    const first = turns.get(1);
    const known = { instructions: record.get()?.instructions ?? null, tools: record.get()?.tools ?? [] };
    const wanted = {
      instructions: order.instructions === undefined ? known.instructions : order.instructions,
      tools: order.tools ?? known.tools,
    };
    if (first === undefined || same(wanted, known)) return undefined;
    const asked = first.messages.slice(0, -1);
    const start = turns.get(0)?.tokens ?? 0;
    const prompt = turnPrompt(model, asked, { turns: 0, tokens: start }, wanted);
    const field = wanted.instructions === known.instructions ? "tools" : "instructions";
    const end = start + this.#firstPromptTokens(model, asked, start, known, field);
    return {
      added: start + prompt.length - end,
      apply: () => {
        const stateless = turns.states().flatMap(({ number }) => (number > 0 ? [number] : []));
        const said = tokens.read(end, tokens.length);
        storage.transactionSync(() => {
          tokens.truncate(start);
          tokens.append(prompt);
          tokens.append(said);
          turns.move(start + prompt.length - end);
          record.change({ ...wanted, firstPromptTokens: prompt.length });
        });
        overwriteRemoved(storage, sessionText);
        return stateless;
      },
    };
  }

  /** What a conversation whose first turn this is begins with; nothing of a later turn. */
  begun(turn: number, { instructions, tools }: WantedOpening, prompt: Uint32Array): StoredOpening {
    return turn === 1 ? { instructions: instructions ?? null, tools: tools ?? [], firstPromptTokens: prompt.length } : {};
  }

  /** What came without a note of it, as in a file, is rendered again, which must give what is there. */
  #firstPromptTokens(model: ServedModel, asked: readonly TranscriptMessage[], start: number, known: TurnOpening, field: string): number {
    const noted = this.#parts.record.get()?.firstPromptTokens;
    if (noted !== undefined) return noted;
    const prompt = turnPrompt(model, asked, { turns: 0, tokens: start }, known);
    const there = this.#parts.tokens.read(start, start + prompt.length);
    if (prompt.every((token, at) => token === there[at])) return prompt.length;
    throw new ServiceError(
      invalidRequest(`'${field}': must be left out, for this conversation was made where its beginning was not noted.`, field),
    );
  }
}

const same = (one: TurnOpening, other: TurnOpening): boolean => JSON.stringify(one) === JSON.stringify(other);
