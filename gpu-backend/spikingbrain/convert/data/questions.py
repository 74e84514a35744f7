"""Questions that sampled chats begin with: topics in templates. Held-out chats have topics that no training chat has."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spikingbrain.convert.data.questions_chinese import CHINESE_FOLLOW_UPS, CHINESE_HELD_OUT, CHINESE_TEMPLATES, CHINESE_TRAINING
from spikingbrain.convert.data.questions_code import CODE_FOLLOW_UPS, CODE_HELD_OUT, CODE_TEMPLATES, CODE_TRAINING
from spikingbrain.rules import require_choice

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
    templates: tuple[str, ...] = TEMPLATES
    follow_ups: tuple[str, ...] = FOLLOW_UPS

    def ask(self, choice: random.Random) -> str:
        return choice.choice(self.templates).format(choice.choice(self.topics))


TRAINING: Mapping[str, Questions] = {
    "english": Questions(tuple(TRAINING_TOPICS)),
    "chinese": Questions(CHINESE_TRAINING, CHINESE_TEMPLATES, CHINESE_FOLLOW_UPS),
    "code": Questions(CODE_TRAINING, CODE_TEMPLATES, CODE_FOLLOW_UPS),
}
HELD_OUT: Mapping[str, Questions] = {
    "english": Questions(tuple(HELD_OUT_TOPICS)),
    "chinese": Questions(CHINESE_HELD_OUT, CHINESE_TEMPLATES, CHINESE_FOLLOW_UPS),
    "code": Questions(CODE_HELD_OUT, CODE_TEMPLATES, CODE_FOLLOW_UPS),
}


def of_kinds(questions: Mapping[str, Questions], kinds: Sequence[str]) -> list[Questions]:
    """Those of `data.chat_kinds`."""
    for kind in kinds:
        require_choice("data.chat_kinds", kind, list(questions))
    return [questions[kind] for kind in kinds]
