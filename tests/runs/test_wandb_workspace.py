"""A workspace of W&B, of what the runs of a project hold."""

import sys

import pytest
from wandb.errors import CommError
from wandb_workspaces.workspaces import Workspace

from lightning_gen.runs.wandb_workspace import save_workspace
from support.refusals import assert_refused

LOWER = {"unit": "nats per image", "better": "lower"}


class Run:
    def __init__(self, quantities, keys):
        self.config = {"quantities": quantities}
        self.summary = dict.fromkeys(keys, 0.0)


VAE = Run({"loss": LOWER, "kl": {"unit": "nats per image"}},
          ["train/loss", "val/loss", "test/loss", "train/kl", "images/samples", "evaluation/test",
           "epoch"])  # fmt: skip
SCORED = Run({"ssim": {"better": "higher"}, "unseen": LOWER},
             ["test/ssim", "scores/test", "images/traversal"])  # fmt: skip
OTHERS = Run(None, ["accuracy"])


@pytest.fixture
def saved(monkeypatch):
    """Saves workspaces in a list; W&B's Api has three runs of the project me/p."""

    class Api:
        default_entity = "me"

        def runs(self, path):
            if path != "me/p":
                raise ValueError(f"Could not find project {path}")
            return iter([VAE, SCORED, OTHERS])

    workspaces = []

    def save(self):
        self._internal_name = "nw-abc-v"
        self._to_model()  # what is sent, which the package checks
        workspaces.append(self)

    monkeypatch.setattr("wandb.Api", Api)
    monkeypatch.setattr(Workspace, "save", save)
    monkeypatch.setattr(Workspace, "url", property(lambda self: f"https://x/{self.project}"))
    return workspaces


def test_a_workspace_lays_out_what_the_runs_hold(saved):
    assert save_workspace("p") == save_workspace("me/p") == "https://x/p"
    _, workspace = saved
    assert (workspace.entity, workspace.project) == ("me", "p")
    found = {section.name: section.panels for section in workspace.sections}
    by_step, by_epoch = found["Curves by step"], found["Curves by epoch"]
    assert [(p.title, p.y, p.title_y) for p in by_step] == [
        ("loss", ["train/loss", "val/loss"], "nats per image"),
        ("kl", ["train/kl"], "nats per image"),
    ]
    assert {panel.x for panel in by_step} == {"trainer/global_step"}
    assert {panel.x for panel in by_epoch} == {"epoch"}
    *scores, table = found["Scores"]
    assert [(panel.title, panel.metric.name) for panel in scores] == [
        ("best train/loss, nats per image, lower is better", "train/loss.min"),
        ("best val/loss, nats per image, lower is better", "val/loss.min"),
        ("test/loss, nats per image, lower is better", "test/loss"),
        ("test/ssim, higher is better", "test/ssim"),
    ]
    assert table.table_name == "scores/test"
    pictures = [(p.media_keys, p.gallery_axis) for p in found["Pictures by step"]]
    assert pictures == [(["images/samples"], "step"), (["images/traversal"], "step")]
    (table,) = found["Images, reconstructions, codes"]
    assert table.table_name == "evaluation/test"


def test_the_verb(saved, command):
    assert command("wandb-workspace", "me/p").done().out == "Workspace   https://x/p\n"
    answer = command("wandb-workspace")  # me/lightning_gen, which is not there
    assert answer.code == 1
    assert "Could not find project me/lightning_gen. Log in with `wandb login`" in answer.line
    command("wandb-workspace", "a", "b").refused("unrecognized arguments: b")


def test_what_is_missing(saved, monkeypatch):
    def unreachable():
        raise CommError("connection refused")

    monkeypatch.setattr("wandb.Api", unreachable)
    assert_refused(
        "the workspace of me/p cannot be saved: connection refused", save_workspace, "me/p"
    )
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    assert_refused(r"pip install 'lightning-gen\[wandb-workspace\]'", save_workspace, "me/p")
