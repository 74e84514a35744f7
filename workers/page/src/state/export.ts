import { chatMessages } from "../api/chat-request.ts";
import type { Conversation } from "./types.ts";

/** The conversation in the shape the API takes, with everything needed to repeat it. */
export function conversationAsJson(conversation: Conversation, title: string): string {
  const { system, ...sampling } = conversation.settings;
  const messages = chatMessages(system, conversation.messages);
  return `${JSON.stringify({ title, updated: new Date(conversation.updatedAt).toISOString(), sampling, messages }, null, 2)}\n`;
}

export function conversationAsMarkdown(
  conversation: Conversation,
  title: string,
  speaker: Readonly<Record<"system" | "user", string>>,
): string {
  const parts = [`# ${title}`];
  if (conversation.settings.system.trim() !== "") parts.push(`**${speaker.system}**`, conversation.settings.system);
  for (const message of conversation.messages) parts.push(`**${message.role === "user" ? speaker.user : message.model}**`, message.text);
  return `${parts.join("\n\n")}\n`;
}

/** A title as a file name that every system accepts. */
export function fileName(title: string, extension: string): string {
  const safe = title
    .replace(/[\p{Cc}\\/:*?"<>|.]+/gu, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 60)
    .trim();
  return `${safe || "conversation"}.${extension}`;
}
