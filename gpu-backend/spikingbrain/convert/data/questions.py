"""Questions that sampled chats begin with: topics in templates. Held-out chats have topics that no training chat has."""

import random
from dataclasses import dataclass

SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"

TRAINING_TOPICS = [
    "photosynthesis",
    "the French Revolution",
    "black holes",
    "baking bread",
    "the water cycle",
    "machine learning",
    "World War II",
    "climate change",
    "healthy sleep",
    "learning the guitar",
    "the Roman Empire",
    "electric cars",
    "vaccines",
    "how airplanes fly",
    "Shakespeare",
    "the stock market",
    "growing tomatoes",
    "ocean tides",
    "democracy",
    "the human heart",
    "Python programming",
    "renewable energy",
    "ancient Egypt",
    "chess strategy",
    "volcanoes",
    "time management",
    "meditation",
    "the moon landing",
    "dinosaurs",
    "coffee",
    "recycling",
    "the internet",
    "public speaking",
    "the immune system",
    "job interviews",
    "the solar system",
    "running a marathon",
    "whales",
    "saving money",
    "poetry",
    "the Renaissance",
    "computer security",
    "cats",
    "mountains",
    "operating systems",
    "prime numbers",
    "gravity",
    "a trip to Japan",
    "the printing press",
    "honey bees",
    "opera",
    "deserts",
    "trains",
    "bacteria",
    "the Silk Road",
    "magnets",
    "swimming",
    "cheese",
    "maps",
    "earthquakes",
]

HELD_OUT_TOPICS = [
    "glaciers",
    "jazz",
    "the Industrial Revolution",
    "batteries",
    "owls",
    "sourdough",
    "the Amazon rainforest",
    "algebra",
    "bicycles",
    "the Vikings",
    "tea",
    "dreams",
    "satellites",
    "gardening in winter",
    "the human brain",
    "databases",
    "rainbows",
    "the Olympic Games",
    "knitting",
    "sharks",
    "lighthouses",
    "the periodic table",
    "job stress",
    "solar panels",
    "castles",
    "penguins",
    "statistics",
    "pottery",
    "hurricanes",
    "nutrition",
]

TEMPLATES = (
    "Explain {} in simple terms.",
    "Write a short story about {}.",
    "What are the main facts about {}?",
    "Give me five tips related to {}.",
    "Write a short essay on {}.",
    "Why is the topic of {} important?",
    "Write a dialogue between two friends discussing {}.",
    "What are common misconceptions about {}?",
    "Summarize the history of {}.",
    "Write an email to a colleague about {}.",
    "Make a list of questions a student could ask about {} and answer them.",
    "Compare two views on {}.",
    "What is special about {}?",
    "Teach me about {} step by step.",
)

FOLLOW_UPS = (
    "Can you say more about that?",
    "Give me an example.",
    "Summarize that in two sentences.",
    "Why?",
    "Now rewrite it for a ten year old.",
    "What should I do next?",
    "Thanks! Anything else I should know?",
    "What did you say first?",
)


@dataclass(frozen=True)
class Questions:
    topics: tuple[str, ...]

    def ask(self, choice: random.Random) -> str:
        return choice.choice(TEMPLATES).format(choice.choice(self.topics))


TRAINING = Questions(tuple(TRAINING_TOPICS))
HELD_OUT = Questions(tuple(HELD_OUT_TOPICS))
