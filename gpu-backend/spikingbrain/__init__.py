"""SpikingBrain in plain torch operations: the definition that the other languages of this project are tested against.

Read `config.py` first, then `model/model.py` from top to bottom. Nothing here needs vLLM, triton or a GPU.
"""
