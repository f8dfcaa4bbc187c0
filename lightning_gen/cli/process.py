"""A setting of the process that trains on a CPU."""

import os


def stop_looking_for_a_gpu() -> None:
    """Let ``torch.cuda.is_available()``, which an optimizer asks at every step, answer at once.

    Lightning has it look for the driver's library on disk each time, for processes that fork before
    they use a GPU.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
