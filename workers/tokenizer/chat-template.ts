/** A model's own chat template: messages to prompt tokens. The template comes from the model file and is as untrusted as it. */
import { ServiceError } from "../contracts/errors.ts";
import { invalidRequest, modelInvalid } from "./failures.ts";
import { stripEnd } from "./jinja/characters.ts";
import { JinjaTemplate } from "./jinja/template.ts";
import { SpecialGuard, unusedCharacters } from "./special-guard.ts";
import { templateFunctions, TemplateRefusal } from "./template-globals.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly name?: string | undefined;
  /** For templates that render calls themselves; JSON's values. */
  readonly tool_calls?: readonly unknown[];
}

export interface RenderOptions {
  /** Functions that the template is told of, JSON's values; none where they are left out. */
  readonly tools?: readonly unknown[];
  /** End with the header of an assistant message, which the model then writes. */
  readonly addGenerationPrompt?: boolean;
  /** The last message is the assistant's and unfinished: end right after its content. */
  readonly continueFinalMessage?: boolean;
  /** What a template that asks for the date is told; by default the present. */
  readonly now?: Date;
}

/** Real templates have at most some 20,000; the parser is quadratic on whitespace. */
const longestTemplateCodeUnits = 1 << 16;
const longestRefusalCodeUnits = 500;

export class ChatTemplate {
  readonly #source: string;
  readonly #template: JinjaTemplate;
  readonly #tokenizer: Tokenizer;
  readonly #guard: SpecialGuard;
  readonly #continuable = new Map<"assistant" | "system", boolean>();
  #takesRest: boolean | undefined;

  constructor(source: string, tokenizer: Tokenizer) {
    if (source.length > longestTemplateCodeUnits) {
      throw modelInvalid(
        `tokenizer.chat_template has ${String(source.length)} code units; at most ${String(longestTemplateCodeUnits)} are allowed`,
      );
    }
    try {
      this.#template = new JinjaTemplate(source);
    } catch (cause) {
      throw modelInvalid(`tokenizer.chat_template cannot be read: ${messageOf(cause)}`, { cause });
    }
    this.#source = source;
    this.#tokenizer = tokenizer;
    this.#guard = new SpecialGuard(tokenizer.specialTokens.map((token) => token.content));
  }

  /** The prompt. Special tokens of the template's are control tokens; those spelled out in a message are ordinary text. */
  renderToTokens(messages: readonly ChatMessage[], options: RenderOptions = {}): Uint32Array {
    const { text, guard } = this.#render(messages, options);
    return this.#tokenizer.encodeGuarded(text, guard);
  }

  /** The prompt as text. Not a key for its tokens: a control token and its name in a message read the same here. */
  renderToText(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    const { text, guard } = this.#render(messages, options);
    return text.replaceAll(guard, "");
  }

  /**
   * What comes after a message that was left open (an answer, or a system message with a document): its end, these messages, and the header
   * of the next answer. Costs the new messages only, however long the conversation is; the same tokens as in the whole one's rendering, which
   * is checked on a small conversation.
   */
  renderContinuation(open: "assistant" | "system", messages: readonly ChatMessage[]): Uint32Array {
    this.requireContinuable(open);
    const { text, guard } = this.#renderAfter(open === "system" ? [] : [question], { role: open, content: "" }, messages);
    return this.#tokenizer.encodeGuarded(text, guard);
  }

  /** The beginning of a conversation whose system message begins with `content` and is left open. */
  renderOpenSystem(content: string): Uint32Array {
    return this.renderOpen([{ role: "system", content }]);
  }

  /** Messages of which the last one is left open, to go on with {@link renderContinuation}, or {@link renderRest} where it is the user's. */
  renderOpen(messages: readonly ChatMessage[]): Uint32Array {
    const { text, guard } = this.#renderOpen(messages);
    return this.#tokenizer.encodeGuarded(text, guard);
  }

  /** The rest of a user's message that was left open, its end, and the header of the answer. */
  renderRest(rest: string): Uint32Array {
    this.#requireRest();
    const { text, guard } = this.#renderRest(rest);
    return this.#tokenizer.encodeGuarded(text, guard);
  }

  /**
   * Some templates change earlier messages when later ones come; their conversations can't be continued from what was read.
   * @throws ServiceError then.
   */
  requireContinuable(open: "assistant" | "system"): void {
    const isContinuable = this.#continuable.get(open) ?? (open === "system" ? this.#continuesSystem() : this.#continuesAnswers());
    this.#continuable.set(open, isContinuable);
    if (!isContinuable) throw notContinuable();
  }

  /** A template may trim what the user says, and the rest of it then is no rest. */
  #requireRest(): void {
    this.#takesRest ??= this.#continuesUser();
    if (this.#takesRest) return;
    throw invalidRequest(
      "the model's chat template changes what users say, so nothing can be asked about a text that was read before",
      "model",
    );
  }

  #renderOpen(messages: readonly ChatMessage[]): { readonly text: string; readonly guard: string } {
    const { text, guard, marker } = this.#renderMarked(messages, messages.length - 1, false);
    return { text: text.slice(0, markerPosition(text, marker)), guard };
  }

  #renderRest(rest: string): { readonly text: string; readonly guard: string } {
    const message = { role: "user", content: rest };
    const { text, guard, marker } = this.#render([message], { addGenerationPrompt: true, marked: 0, isMarkFirst: true });
    return { text: text.slice(markerPosition(text, marker) + 1), guard };
  }

  #renderAfter(
    before: readonly ChatMessage[],
    open: ChatMessage,
    after: readonly ChatMessage[],
  ): { readonly text: string; readonly guard: string } {
    const { text, guard, marker } = this.#renderMarked([...before, open, ...after], before.length, true);
    return { text: text.slice(markerPosition(text, marker) + 1), guard };
  }

  /** With a mark at the end of one message's content. */
  #renderMarked(messages: readonly ChatMessage[], marked: number, addGenerationPrompt: boolean) {
    return this.#render(messages, { addGenerationPrompt, marked });
  }

  #continuesAnswers(): boolean {
    const answer = { role: "assistant", content: "Yes." };
    const first = this.renderToText([question], { addGenerationPrompt: true });
    return this.#continues(
      [question, answer],
      first + answer.content,
      this.#renderAfter([question], { ...answer, content: "" }, [question]),
    );
  }

  #continuesSystem(): boolean {
    const system = { role: "system", content: "It is." };
    const { text, guard } = this.#renderOpen([system]);
    return this.#continues([system], text.replaceAll(guard, ""), this.#renderAfter([], { ...system, content: "" }, [question]));
  }

  #continuesUser(): boolean {
    const rest = "\n\nIs it?";
    const whole = this.renderToText([{ role: "user", content: question.content + rest }], { addGenerationPrompt: true });
    const [read, after] = [this.#renderOpen([question]), this.#renderRest(rest)];
    return whole === read.text.replaceAll(read.guard, "") + after.text.replaceAll(after.guard, "");
  }

  #continues(before: readonly ChatMessage[], read: string, { text, guard }: { readonly text: string; readonly guard: string }): boolean {
    return this.renderToText([...before, question], { addGenerationPrompt: true }) === read + text.replaceAll(guard, "");
  }

  #render(
    messages: readonly ChatMessage[],
    options: RenderOptions & { readonly marked?: number; readonly isMarkFirst?: boolean },
  ): { readonly text: string; readonly guard: string; readonly marker: string } {
    const { addGenerationPrompt = false, continueFinalMessage = false, now = new Date(), tools, marked, isMarkFirst = false } = options;
    if (addGenerationPrompt && continueFinalMessage) {
      throw invalidRequest("continue_final_message and add_generation_prompt exclude each other; both are true", "add_generation_prompt");
    }
    const inputs = [
      ...messages.flatMap(({ role, content, name, tool_calls: calls }) => [role, content, name ?? "", ...texts(calls)]),
      ...texts(tools),
    ];
    const specials = this.#tokenizer.specialTokens.map((token) => token.content);
    const [guard = "", marker = ""] = unusedCharacters([this.#source, ...specials, ...inputs], 2);
    const protect = (value: unknown) => withTexts(value, (text) => this.#guard.protect(text, guard));
    const guarded = messages.map(({ role, content, name, tool_calls: calls }) => ({
      role: this.#guard.protect(role, guard, /^[a-z_]+$/.test(role)),
      content: this.#guard.protect(content, guard),
      ...(name === undefined ? {} : { name: this.#guard.protect(name, guard) }),
      ...(calls === undefined ? {} : { tool_calls: protect(calls) }),
    }));
    if (continueFinalMessage) markEnd(guarded, marker);
    const markedMessage = marked === undefined ? undefined : guarded[marked];
    if (markedMessage !== undefined) markedMessage.content = isMarkFirst ? marker + markedMessage.content : markedMessage.content + marker;
    const variables = {
      messages: guarded,
      tools: tools === undefined ? null : protect(tools),
      documents: null,
      add_generation_prompt: addGenerationPrompt,
      ...this.#boundaries(),
    };
    const rendered = this.#run({ ...templateFunctions(now), ...variables }, guard, marker);
    return { text: continueFinalMessage ? cutAtMarker(rendered, marker, messages.length - 1) : rendered, guard, marker };
  }

  #run(variables: Readonly<Record<string, unknown>>, guard: string, marker: string): string {
    try {
      return this.#template.render(variables, guard + marker);
    } catch (cause) {
      if (cause instanceof ServiceError) throw cause;
      const message = messageOf(cause).replaceAll(guard, "").replaceAll(marker, "").slice(0, longestRefusalCodeUnits);
      if (cause instanceof TemplateRefusal)
        throw invalidRequest(`the model's chat template refuses these messages: ${message}`, "messages");
      throw modelInvalid(`tokenizer.chat_template cannot be rendered: ${message}`, { cause });
    }
  }

  /** As in transformers, a token that the model lacks is undefined. */
  #boundaries(): Readonly<Record<string, string>> {
    const { bosTokenId, eosTokenIds, otherTokens } = this.#tokenizer;
    const named = { bos_token: bosTokenId, eos_token: eosTokenIds[0] };
    const texts = Object.entries(named).flatMap(([name, id]) =>
      id === null || id === undefined ? [] : [[name, this.#tokenizer.tokenText(id)] as const],
    );
    return { ...Object.fromEntries(texts), ...otherTokens };
  }
}

/** Any question will do: what is rendered around it is what matters. */
const question: ChatMessage = { role: "user", content: "Is it?" };

function notContinuable(): ServiceError {
  return invalidRequest(
    "the model's chat template changes earlier messages when later ones come, so sessions can't be continued",
    "session_id",
  );
}

function markerPosition(text: string, marker: string): number {
  const at = text.indexOf(marker);
  if (at >= 0 && at === text.lastIndexOf(marker)) return at;
  throw notContinuable();
}

/** The space tells afterwards whether the template trims messages. */
function markEnd(messages: { role: string; content: string }[], marker: string): void {
  const last = messages.at(-1);
  if (last?.role !== "assistant") {
    throw invalidRequest(
      `messages: the message to continue must be the assistant's; it is ${JSON.stringify(last?.role ?? null)}`,
      "messages",
    );
  }
  last.content += `${marker} `;
}

function cutAtMarker(rendered: string, marker: string, index: number): string {
  const at = rendered.lastIndexOf(marker);
  if (at < 0) {
    throw invalidRequest(
      `messages[${String(index)}].content cannot be continued: the model's chat template does not render it`,
      `messages[${String(index)}].content`,
    );
  }
  const text = rendered.slice(0, at);
  return (rendered[at + 1] === " " ? text : stripEnd(text)).replaceAll(marker, "");
}

/** Of a value of JSON: its texts and its names, as they are. */
function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(texts);
  return typeof value === "object" && value !== null ? Object.entries(value).flatMap(([name, one]) => [name, ...texts(one)]) : [];
}

/** With other texts and names. */
function withTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((one) => withTexts(one, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [change(name), withTexts(one, change)]));
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
