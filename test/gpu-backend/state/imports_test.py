"""A state's bytes can be read and written without the reference model, as another engine does."""

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import spikingbrain.state
for module in pkgutil.walk_packages(spikingbrain.state.__path__, "spikingbrain.state."):
    importlib.import_module(module.name)
print(*(name for name in sys.modules if name.startswith("spikingbrain.")))
"""


def test_the_state_imports_no_model() -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=600, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.split()}
    assert rooms == {"config", "precision", "rules", "spike", "state"}
