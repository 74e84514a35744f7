"""Forms in which linear attention takes the place of layers' attention, or stands beside it: the 7B's and the 76B's
(`gpu-backend/docs/model.md#10-the-published-models`).

Read `form.py` first: what a settings file chooses, and the config that it means. `mixer.py` is what is trained.
"""
