"""What evaluation counts, against the same counted plainly."""

import math

import pytest
import torch
from spikingbrain.convert.data.corpus import Corpus
from spikingbrain.convert.measure.evaluation import held_out_documents, summary
from spikingbrain.convert.measure.quality import TEACHER, Tallies, Tally, residuals, tally
from spikingbrain.convert.trunk.reader import TrunkReader
from spikingbrain.rules import ConfigError
from support.convert_models import REACH, busy_branches, text_of, trunk_of


def test_tallies_are_what_the_logits_say() -> None:
    trunk, tokens, edges = trunk_of(), text_of(290), [0, 27, 100, 1000]
    student = TrunkReader(trunk, REACH, busy_branches(trunk))
    found = residuals(trunk, {"student": student}, tokens, teacher_tokens=270, segment=256)
    assert found[TEACHER].shape[0] == 270
    into = {name: Tallies(edges) for name in found}
    tally(trunk, found, tokens, into)
    with torch.no_grad():
        log, target = (trunk.logits(found[name]).log_softmax(dim=-1) for name in ("student", TEACHER))
    for bucket, low, high in zip(into["student"].buckets, edges, edges[1:], strict=False):
        at = torch.arange(low, min(high, 289))
        seen = at[at < 270]
        assert bucket.positions == len(at)
        assert bucket.loss == pytest.approx(-log[at, tokens[at + 1]].sum().item(), rel=1e-4)
        assert bucket.compared == len(seen)
        assert bucket.divergence == pytest.approx((target[seen].exp() * (target[seen] - log[seen])).sum().item(), rel=1e-3, abs=1e-5)
        assert bucket.agreement == int((target[seen].argmax(dim=-1) == log[seen].argmax(dim=-1)).sum())
    assert into["student"].buckets[0].divergence < 1e-4 < into["student"].buckets[1].divergence
    assert into[TEACHER].between(0, 1000).agreement == into[TEACHER].between(0, 1000).compared == 270


def test_a_summary_adds_up_texts() -> None:
    edges = [0, 12, 27, 54]
    lines = [
        {"edges": edges, "tallies": {"state": [vars(Tally(2, loss, 2, 0.1, 1)), vars(Tally(1, 1.0)), vars(Tally(1, loss))]}}
        for loss in (1.0, 3.0)
    ]
    measured = summary(lines, REACH)["state"]
    assert measured["perplexity"] == pytest.approx(math.exp((1 + 1 + 1 + 3 + 1 + 3) / 8))
    assert measured["perplexity beyond the window"] == pytest.approx(math.exp((1 + 3) / 2))
    assert measured["divergence"] == pytest.approx(0.05)
    assert measured["agreement"] == pytest.approx(0.5)
    assert "divergence beyond the window" not in measured


def test_held_out_documents_take_sources_in_rounds() -> None:
    lengths = [5, 9, 9, 9, 9]
    starts = [sum(lengths[:index]) for index in range(6)]
    corpus = Corpus(torch.zeros(41).numpy().astype("uint32"), starts, ["a", "a", "a", "a", "b"])
    assert held_out_documents(corpus, 4, 9) == [1, 4, 2, 3]
    with pytest.raises(ConfigError, match=r"evaluation\.documents must be at most 4, which have 9 tokens; it is 5"):
        held_out_documents(corpus, 5, 9)
