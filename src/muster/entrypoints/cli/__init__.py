"""The command line: `muster`."""

import gc

# Most of what is made at start-up stays: to look through it for garbage after every 700 new
# objects, as Python does by default, costs a tenth of the start and later shows in slow answers.
gc.set_threshold(50_000, 20, 50)
