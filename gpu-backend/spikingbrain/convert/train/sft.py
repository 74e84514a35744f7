"""The stage `sft`, supervised fine-tuning: the students' next-token loss on the answers of chats, where they may differ from the teacher at
all."""

from spikingbrain.convert.data.answers import open_answers
from spikingbrain.convert.data.conversations import read_conversations
from spikingbrain.convert.student import Measures
from spikingbrain.convert.train.run import load_branches
from spikingbrain.convert.work import Work


def sft(work: Work) -> None:
    def learn(number: int, index: int) -> Measures:
        return student.sft_step(*answers.sequence(work.settings.seed, number * training.sequences + index, training.tokens, begin))

    training, begin = work.settings.sft, work.settings.begin
    if training.steps == 0:
        work.report("sft: no steps in the settings")
        return
    if work.team.leads and not (work.folder / "sft.json").is_file():
        conversations = read_conversations(training.files, training.messages_field)
        work.write_answers("sft", conversations)
    work.team.wait()
    answers, student = open_answers(work.folder / "sft"), work.student()
    load_branches(work.folder / work.stage_before_sft, student.trained)
    work.train("sft", training, student, learn)
