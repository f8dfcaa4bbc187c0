"""What a stranger's checkpoint and configuration could name, were it not refused."""


def part(class_path, **arguments):
    """A class, or what stands for one, and its arguments, as a configuration writes them."""
    return {"class_path": class_path, "init_args": arguments}


EVIL = "logs.stranger.version_0.evil"
IMPORTS_ANYTHING = part("torch.nn.attention._fa4.register_flash_attention_fa4", module_path=EVIL)
FUNCTION = IMPORTS_ANYTHING["class_path"]
SCHEDULER = "torch.optim.lr_scheduler.LambdaLR"
PARTS = {
    "optimizer": [
        *(IMPORTS_ANYTHING, FUNCTION, f"{EVIL}.f", "lightning_gen.models.optimizers.fuse"),
        *("torch.nn.Linear", {"class_path": "lightning_gen.pictures.Samples"}),
        part("torch.nn.utils.clip_grad_norm_", max_norm=1),
    ],
    "lr_scheduler": [
        IMPORTS_ANYTHING,
        *(part(SCHEDULER, lr_lambda=name) for name in (f"{EVIL}.f", FUNCTION)),
    ],
    "architecture": [IMPORTS_ANYTHING, {"class_path": f"{EVIL}.f"}],
    "likelihood": [IMPORTS_ANYTHING],
}
"""By a key of the model's hyperparameters."""

LIGHTNING = "lightning.pytorch"
LOGGERS, CHECKPOINT = f"{LIGHTNING}.loggers", f"{LIGHTNING}.callbacks.ModelCheckpoint"
ADDRESS = "http://127.0.0.1:9"
TRAINER = {
    "a function of a callback": {
        "callbacks": [part(f"{LIGHTNING}.callbacks.LambdaCallback", on_fit_start=FUNCTION)]
    },
    "a function in the place of a callback": {"callbacks": [IMPORTS_ANYTHING]},
    "a logger with an address": {"logger": part(f"{LOGGERS}.MLFlowLogger", tracking_uri=ADDRESS)},
    "W&B with an address": {
        "logger": part("WandbLogger", offline=True)
        | {"dict_kwargs": {"settings": {"base_url": ADDRESS}}}
    },
    "a checkpoint elsewhere": {
        "callbacks": [
            part(CHECKPOINT, dirpath="logs/mine/version_0/checkpoints", filename="best"),
            part(CHECKPOINT, dirpath="{folder}/logs/mine/version_0", filename="best"),
        ]
    },
    "a log elsewhere": {"logger": part(f"{LOGGERS}.CSVLogger", save_dir="../..", name="x")},
    "a profile elsewhere": {
        "profiler": part(f"{LIGHTNING}.profilers.SimpleProfiler", dirpath="/tmp", filename="stolen")
    },
}
"""Options of the trainer, by what they would do; {folder} is where the command runs."""
