/** The items of a response as they grow, each opened and closed by its events: one for what is said, and one for each call of a function. */
import type { DeltaContent, ScoredToken } from "../../../contracts/choice.ts";
import type { FunctionCall } from "../../../contracts/transcript.ts";
import type { FormatEvent } from "./format.ts";
import { answerItem, callItem, itemId, textPart, type ItemPlace, type ItemStatus } from "./response-items.ts";

export interface OutputOptions {
  readonly place: ItemPlace;
  /** Numbered in the order in which they are made. */
  readonly event: (type: string, fields: object) => FormatEvent;
  readonly logprobs: (tokens: readonly ScoredToken[]) => object[];
}

type OutputItem =
  | { readonly kind: "text"; readonly id: string; text: string; readonly tokens: ScoredToken[] }
  | { readonly kind: "call"; readonly id: string; call: FunctionCall };

export class ResponseOutput {
  readonly #options: OutputOptions;
  readonly #items: OutputItem[] = [];

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  /** Begins what is said. */
  openText(): FormatEvent[] {
    const item = { kind: "text", id: this.#nextId("msg"), text: "", tokens: [] } as const;
    const closed = this.#close("completed");
    this.#items.push({ ...item, tokens: [] });
    return [
      ...closed,
      this.#event("response.output_item.added", { item: answerItem(item.id, "in_progress", []) }),
      this.#event("response.content_part.added", { ...this.#inText(item.id), part: textPart({ text: "", logprobs: [] }) }),
    ];
  }

  push(content: DeltaContent): FormatEvent[] {
    return content.kind === "text" ? this.#pushText(content.text, content.tokens) : this.#pushCall(content);
  }

  /** The last item's end. One that says nothing is there where there is no other. */
  close(status: ItemStatus): FormatEvent[] {
    const opened = this.#items.length === 0 ? this.openText() : [];
    return [...opened, ...this.#close(status)];
  }

  /** All items, the last of this status. */
  items(status: ItemStatus): object[] {
    return this.#items.map((item, at) => this.#item(item, at === this.#items.length - 1 ? status : "completed"));
  }

  #pushText(text: string, tokens: readonly ScoredToken[]): FormatEvent[] {
    // What says only how far the prompt is read is of the moment: it has no number.
    if (text === "" && tokens.length === 0) return [];
    const opened = this.#items.at(-1)?.kind === "text" ? [] : this.openText();
    const item = this.#items.at(-1);
    if (item?.kind !== "text") return opened;
    item.text += text;
    item.tokens.push(...tokens);
    const fields = { ...this.#inText(item.id), delta: text, logprobs: this.#options.logprobs(tokens) };
    return [...opened, this.#event("response.output_text.delta", fields)];
  }

  #pushCall({ begun, arguments: given }: Extract<DeltaContent, { readonly kind: "call" }>): FormatEvent[] {
    if (begun !== undefined) {
      const item: OutputItem = { kind: "call", id: this.#nextId("fc"), call: { ...begun, arguments: given } };
      const closed = this.#close("completed");
      this.#items.push(item);
      return [...closed, this.#event("response.output_item.added", { item: callItem(item.id, "in_progress", item.call) })];
    }
    const item = this.#items.at(-1);
    if (item?.kind !== "call" || given === "") return [];
    item.call = { ...item.call, arguments: item.call.arguments + given };
    return [this.#event("response.function_call_arguments.delta", { item_id: item.id, delta: given })];
  }

  #close(status: ItemStatus): FormatEvent[] {
    const item = this.#items.at(-1);
    if (item === undefined) return [];
    const done = () => this.#event("response.output_item.done", { item: this.#item(item, status) });
    if (item.kind === "call") {
      const { name, arguments: given } = item.call;
      return [this.#event("response.function_call_arguments.done", { item_id: item.id, name, arguments: given }), done()];
    }
    const part = this.#part(item);
    return [
      this.#event("response.output_text.done", { ...this.#inText(item.id), ...part }),
      this.#event("response.content_part.done", { ...this.#inText(item.id), part: textPart(part) }),
      done(),
    ];
  }

  #item(item: OutputItem, status: ItemStatus): object {
    return item.kind === "call" ? callItem(item.id, status, item.call) : answerItem(item.id, status, [this.#part(item)]);
  }

  #part({ text, tokens }: Extract<OutputItem, { readonly kind: "text" }>) {
    return { text, logprobs: this.#options.logprobs(tokens) };
  }

  #nextId(kind: "msg" | "fc"): string {
    return itemId(kind, this.#options.place, this.#items.length);
  }

  /** Of the last item. */
  #event(type: string, fields: object): FormatEvent {
    return this.#options.event(type, { output_index: this.#items.length - 1, ...fields });
  }

  #inText(id: string) {
    return { item_id: id, content_index: 0 };
  }
}
