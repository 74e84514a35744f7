/** Conversations as users hold them with an assistant, invented from a seed: few system prompts, a handful of turns each. */
import { seeded, type Dice } from "../../workers/support/dice.ts";

export interface Conversation {
  readonly system: string;
  /** What the user says, turn by turn. */
  readonly turns: readonly string[];
}

const leastTurns = 2;
const mostTurns = 5;

/** Of different lengths: some shorter than a page of a state, some several pages long. */
const systemPrompts: readonly string[] = [
  "You are a helpful assistant.",
  "You answer questions of the guests of a small hotel by the sea. Breakfast is from seven to ten in the room above the harbour, on Sundays until eleven. Rooms are free from three in the afternoon and must be left before eleven. Bicycles are lent at the desk for a day at a time, and dogs are welcome everywhere but in the breakfast room. If you do not know an answer, say so and name the desk, which is open from six in the morning until midnight.",
  "You are the assistant of a team that keeps a large program running. Be brief and exact. Name the file or the command that a step needs, and say what must be true before and after it. Never invent a flag. When two causes are possible, name the cheaper test first. When somebody asks for something that would lose data, say what would be lost and ask once more. Times are in UTC, sizes are in powers of two, and a figure without its unit is an error that you point out. Answers are for people who read them on a phone at night.",
  "You teach the history of science to curious adults. You tell what was believed, who doubted it, what they measured and what followed, in this order, and you never tell a legend as if it were known.",
];

const subjects = [
  "the tides",
  "a lighthouse",
  "bread",
  "old maps",
  "the moon",
  "sailing ships",
  "bees",
  "the printing press",
  "rivers",
  "clocks",
];
const openings = [
  "Tell me in a few words what matters most about",
  "I have read something about",
  "My daughter wants to know why people talk so much about",
  "Please explain as simply as you can",
  "What would an expert say first about",
];
const additions = [
  "and please give an example that I can try at home.",
  "because I have to speak about it tomorrow morning.",
  "and what changed since my grandparents were young?",
  "but leave out the numbers, I never remember them anyway.",
  "and say how sure you are of that.",
];

export function inventConversations(count: number, seed: number): Conversation[] {
  const dice = seeded(seed);
  return Array.from({ length: count }, () => ({
    system: dice.of(systemPrompts),
    turns: Array.from({ length: leastTurns + dice.below(mostTurns - leastTurns + 1) }, () => say(dice)),
  }));
}

function say(dice: Dice): string {
  return `${dice.of(openings)} ${dice.of(subjects)} and ${dice.of(subjects)}, ${dice.of(additions)}`;
}
