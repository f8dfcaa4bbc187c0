"""Facts and settings of this process."""

import os

own = False
"""Whether the process is the command's, and no notebook's or test's that calls it."""


def stop_looking_for_a_gpu() -> None:
    """Let ``torch.cuda.is_available()``, which an optimizer asks at every step, answer at once.

    Lightning has it look for the driver's library on disk each time, for processes that fork before
    they use a GPU.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
