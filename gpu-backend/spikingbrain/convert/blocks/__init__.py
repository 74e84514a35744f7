"""The trunk as modules, with what is trained of each layer inside it: what torch's FSDP can share out among processes."""
