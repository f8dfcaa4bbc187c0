"""What a stranger's checkpoint and configuration could name, were it not refused."""

EVIL = "logs.stranger.version_0.evil"
IMPORTS_ANYTHING = {
    "class_path": "torch.nn.attention._fa4.register_flash_attention_fa4",
    "init_args": {"module_path": EVIL},
}
PARTS = {
    "optimizer": [
        IMPORTS_ANYTHING,
        IMPORTS_ANYTHING["class_path"],
        f"{EVIL}.f",
        "lightning_gen.models.optimizers.fuse",
        "torch.nn.Linear",
        {"class_path": "lightning_gen.callbacks.Samples"},
        {"class_path": "torch.nn.utils.clip_grad_norm_", "init_args": {"max_norm": 1}},
    ],
    "lr_scheduler": [
        IMPORTS_ANYTHING,
        *(
            {"class_path": "torch.optim.lr_scheduler.LambdaLR", "init_args": {"lr_lambda": name}}
            for name in (f"{EVIL}.f", IMPORTS_ANYTHING["class_path"])
        ),
    ],
    "architecture": [IMPORTS_ANYTHING, {"class_path": f"{EVIL}.f"}],
    "likelihood": [IMPORTS_ANYTHING],
}
"""By a key of the model's hyperparameters."""

TRAINER = {
    "a function of a callback": {
        "callbacks": [
            {
                "class_path": "lightning.pytorch.callbacks.LambdaCallback",
                "init_args": {"on_fit_start": IMPORTS_ANYTHING["class_path"]},
            }
        ]
    },
    "a function in the place of a callback": {"callbacks": [IMPORTS_ANYTHING]},
    "a logger with an address": {
        "logger": {
            "class_path": "lightning.pytorch.loggers.MLFlowLogger",
            "init_args": {"tracking_uri": "http://127.0.0.1:9"},
        }
    },
    "W&B with an address": {
        "logger": {
            "class_path": "WandbLogger",
            "init_args": {"offline": True},
            "dict_kwargs": {"settings": {"base_url": "http://127.0.0.1:9"}},
        }
    },
    "a checkpoint elsewhere": {
        "callbacks": [
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {"dirpath": "logs/mine/version_0/checkpoints", "filename": "best"},
            },
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {"dirpath": "{folder}/logs/mine/version_0", "filename": "best"},
            },
        ]
    },
    "a log elsewhere": {
        "logger": {
            "class_path": "lightning.pytorch.loggers.CSVLogger",
            "init_args": {"save_dir": "../..", "name": "x"},
        }
    },
    "a profile elsewhere": {
        "profiler": {
            "class_path": "lightning.pytorch.profilers.SimpleProfiler",
            "init_args": {"dirpath": "/tmp", "filename": "stolen"},
        }
    },
}
"""Options of the trainer, by what they would do; {folder} is where the command runs."""
