"""The teacher of whole conversions, whose vocabulary is that of `checkpoint_models`."""

from spikingbrain.config import Biases, Config, Layer
from support.checkpoint_models import VOCABULARY

TEACHER = Config(
    name="tiny teacher",
    hidden=64,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocabulary=VOCABULARY,
    feed_forward_inner=96,
    layers=(Layer(mixer=("full",)),) * 2,
    context=512,
    biases=Biases(query_key_value=False),
    tied_head=True,
)
