"""Plans: what they spell out, what is wrong with them, and that their commands do what the sweep's calls do."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeseg.cli import main
from edgeseg.errors import DataError, UsageError
from edgeseg.recipes import RECIPES
from edgeseg.sweeping.commands import Folder, checked, commands_of, convert_command, train_command
from edgeseg.sweeping.plan import Asha, content_of
from edgeseg.sweeping.plan_file import make_plan, read_plan
from edgeseg.sweeping.settings import CONVERT, TRAIN, convert_arguments, train_arguments

SMALL = {"data": "meadow", "architectures": ["fcn32s", "fcn8s"], "backbones": ["resnet18_0.1"], "sizes": ["64x96"]}


def plan_of(**changes: Any) -> Any:
    return make_plan({**SMALL, **changes}, "p.yaml")


def test_every_choice_is_a_training_and_seeds_share_a_point() -> None:
    plan = plan_of(losses=["ce", "0.7*ce+0.3*dice"], seeds=[0, 1, 2], recipes=["int8_ptq", "float32"])
    assert len(plan.runs) == 2 * 2 * 3
    assert len({run.name for run in plan.runs}) == 12
    assert len(plan.points) == 2 * 2 * 2
    point = plan.points[-1]
    assert point.name == "fcn8s_resnet18_0.1_64x96_0.7-ce+0.3-dice_float32"
    assert [run.settings["seed"] for run in point.runs] == [0, 1, 2]
    assert {run.settings["loss"] for run in point.runs} == {"0.7*ce+0.3*dice"}


def test_a_list_among_the_options_is_one_more_choice() -> None:
    plan = plan_of(train={"lr": ["1e-3", 0.003], "epochs": 5})  # YAML reads 1e-3 as text
    assert [run.name for run in plan.runs][:2] == [
        "fcn32s_resnet18_0.1_64x96_lr0.001", "fcn32s_resnet18_0.1_64x96_lr0.003",
    ]  # fmt: skip
    assert {run.epochs for run in plan.runs} == {5}


def test_a_variant_changes_several_options_together() -> None:
    """One change at a time, as in an ablation: with each the plan's trainings are made once."""
    variants = {"base": None, "hard pixels": {"loss": "ohem", "ema": 0.99}, "from nothing": {"init_from": None}}
    plan = plan_of(architectures=["fcn8s"], variants=variants, seeds=[0, 1], train={"init_from": "aerial"})
    assert [run.name for run in plan.runs] == [
        f"fcn8s_resnet18_0.1_64x96_{variant}_seed{seed}"
        for variant in ("base", "hard-pixels", "from-nothing") for seed in (0, 1)
    ]  # fmt: skip
    base, _, hard, _, nothing, _ = (run.settings for run in plan.runs)
    assert (base["loss"], base["init_from"]) == ("ce", "aerial")
    assert hard == {**base, "loss": "ohem", "ema": 0.99}
    assert nothing == {key: value for key, value in base.items() if key != "init_from"}
    assert [(point.name, len(point.runs)) for point in plan.points] == [
        ("fcn8s_resnet18_0.1_64x96_base_int8_ptq", 2), ("fcn8s_resnet18_0.1_64x96_hard-pixels_int8_ptq", 2),
        ("fcn8s_resnet18_0.1_64x96_from-nothing_int8_ptq", 2),
    ]  # fmt: skip


def test_a_variant_on_another_network_is_named_by_it() -> None:
    plan = plan_of(architectures=["fcn8s"], variants={"a": {}, "b": {"backbone": "resnet18_0.2"}})
    assert [run.name for run in plan.runs] == ["fcn8s_resnet18_0.1_64x96_a", "fcn8s_resnet18_0.2_64x96_b"]
    assert len({run.network for run in plan.runs}) == 2


def test_a_plan_with_variants_is_written_and_read_again() -> None:
    plan = plan_of(data="/meadow", variants={"base": {}, "from nothing": {"init_from": None}})
    assert make_plan(content_of(plan), "again") == plan


def test_a_plan_is_read_from_yaml_and_from_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data: meadow\narchitectures: fcn8s\nasha: {grace: 2, among: all}\n")
    (tmp_path / "a.json").write_text(
        '{"data": "meadow", "architectures": ["fcn8s"], "asha": {"grace": 2, "among": "all"}}'
    )
    plan = read_plan(tmp_path / "a.yaml")
    assert plan == read_plan(tmp_path / "a.json")
    assert plan.asha == Asha(grace=2, reduction=3, among="all")
    assert [run.name for run in plan.runs] == ["fcn8s_240x320"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": ["unet"]}, "p.yaml: unknown key 'architecture': did you mean architectures"),
        ({"data": None}, "p.yaml: data is missing"),
        ({"sizes": ["240by320"]}, "p.yaml: sizes: '240by320': expected height x width, such as 240x320"),
        ({"seeds": [0, 0]}, "p.yaml: seeds: 0 is listed twice"),
        ({"seeds": [True]}, "p.yaml: seeds: True: expected a whole number"),
        ({"losses": []}, "p.yaml: losses: expected at least one value"),
        ({"losses": ["hinge"]}, "p.yaml: losses: unknown loss 'hinge'"),
        ({"recipes": ["int4"]}, "p.yaml: recipes: unknown recipe 'int4'"),
        ({"train": ["epochs"]}, r"p.yaml: train is \['epochs'\]: expected options and their values"),
        ({"train": {"epoch": 3}}, "p.yaml: train: unknown option 'epoch': did you mean epochs"),
        ({"train": {"epochs": [3, 4]}}, "p.yaml: train: epochs: expected one value, the same for all"),
        ({"train": {"val_split": ["val", "test"]}}, "p.yaml: train: val_split: expected one value"),
        ({"train": {"lr": "fast"}}, "p.yaml: train: lr: 'fast': expected a number"),
        ({"train": {"scale": "2,1"}}, "p.yaml: train: scale: '2,1': expected the smallest and the largest zoom"),
        ({"train": {"mean": "1,x"}}, "p.yaml: train: mean: '1,x': expected a number, or several"),
        ({"train": {"freeze_start": 1}}, "p.yaml: train: freeze_start: 1: expected true or false"),
        ({"train": {"seed": 3}}, "p.yaml: train: seed: list them under seeds, beside train"),
        ({"train": {"time_budget": "2m"}}, "p.yaml: train: unknown option 'time_budget'"),
        ({"variants": ["a"]}, r"p.yaml: variants is \['a'\]: expected options and their values"),
        ({"variants": {"a": {"los": "ce"}}}, "p.yaml: variants: a: unknown option 'los': did you mean loss"),
        ({"variants": {"a": {"ema": "much"}}}, "p.yaml: variants: a: ema: 'much': expected a number"),
        ({"variants": {"a": {"los": None}}}, "p.yaml: variants: a: unknown option 'los'"),
        ({"variants": {"a": {"seed": 1}}}, "p.yaml: variants: a: seed: expected the same for all variants"),
        ({"variants": {"a": {"epochs": 1}}}, "p.yaml: variants: a: epochs: expected the same for all variants"),
        ({"variants": {"a": {"arch": "unet"}}}, "p.yaml: variants: a: arch: expected one value of it beside"),
        ({"variants": {"a b": {}, "a-b": {}}}, "p.yaml: variants: 'a b': expected names that make different folders"),
        ({"convert": {"calibration": 3}}, "p.yaml: convert: calibration: 3: expected text"),
        ({"asha": {"grace": 0}}, "p.yaml: asha: grace 0, reduction 3: expected at least 1 epoch"),
        ({"asha": {"among": "seeds"}}, "p.yaml: asha: unknown value of among 'seeds'"),
        ({"asha": {"rungs": 2}}, "p.yaml: asha: unknown key 'rungs'"),
    ],
)
def test_a_wrong_value_is_told_by_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_of(**changes)


def test_what_is_no_plan_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- fcn8s\n")
    with pytest.raises(UsageError, match=r"list\.yaml is no plan: expected keys such as data"):
        read_plan(tmp_path / "list.yaml")
    with pytest.raises(DataError, match="no such file"):
        read_plan(tmp_path / "none.yaml")


def test_a_training_that_could_not_begin_is_told_before_any_does(meadow_folder: Path) -> None:
    plan = plan_of(data=str(meadow_folder), architectures=["fcn8s", "deeplabv9"])
    with pytest.raises(UsageError, match=r"deeplabv9_resnet18_0.1_64x96: unknown architecture 'deeplabv9'"):
        checked(plan)
    with pytest.raises(UsageError, match="epochs 0: expected at least 1"):
        checked(plan_of(data=str(meadow_folder), train={"epochs": 0}))
    with pytest.raises(DataError, match="nowhere"):
        checked(plan_of(data="nowhere"))


def test_the_training_images_calibrate_unless_the_plan_names_others(meadow_folder: Path) -> None:
    plan = plan_of(data=str(meadow_folder))
    assert checked(plan).convert == {"calibration": str(meadow_folder / "images" / "train")}
    assert checked(replace(plan, convert={"calibration": "mine"})).convert == {"calibration": "mine"}
    assert checked(replace(plan, recipes=("float32", "int8_qat"))).convert == {}


# === The commands are the calls ===

EVERY_OPTION = {
    "form": "edge", "resize": "letterbox", "crop": "48x64", "order": "bgr", "channels": 3, "mean": "1,2,3", "std": 2,
    "output_stride": 16, "split": "train", "val_split": "val", "layout": "folder", "epochs": 7, "patience": 2,
    "batch": 3, "lr": 0.00123, "weight_decay": 0.02, "class_weights": False, "scale": "0.7,1.5", "rotation": 10,
    "quarter_turns": True, "elastic": 2.5, "balanced_crops": 0.25, "copy_paste": 0.5,
    "weights": "imagenet", "val_every": 2, "mixed_precision": True, "ema": 0.99,
    "teacher": "street", "teacher_weight": 0.25, "unlabelled": "flights", "transfer_rate": 0.5, "freeze_start": True,
    "licence": "mine alone",
}  # fmt: skip


def test_a_sweep_may_start_from_a_name_in_the_zoo(meadow_folder: Path) -> None:
    content = {"data": str(meadow_folder), "architectures": ["deeplabv3plus"], "sizes": ["64x96"]}
    assert checked(make_plan({**content, "train": {"init_from": "aerial"}}, "p.yaml")).runs
    with pytest.raises(UsageError, match="unknown model 'arial'"):
        checked(make_plan({**content, "train": {"init_from": "arial"}}, "p.yaml"))


class Called(Exception):
    """Ends a command where its work would begin."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`called("edgeseg.training.train.train", command)` -> (positional, keyword arguments) of the call."""

    def run(function: str, command: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        seen: list[Any] = []

        def caught(*positional: Any, **named: Any) -> None:
            seen.append((positional, named))
            raise Called

        monkeypatch.setattr(function, caught)
        with pytest.raises(Called):
            main(shlex.split(command)[1:])
        return seen[0]

    return run


@pytest.mark.parametrize("options", [EVERY_OPTION, {}], ids=["every option", "none"])
def test_the_command_of_a_training_is_the_call_that_the_sweep_makes(options: dict[str, Any], called: Any) -> None:
    assert {*EVERY_OPTION, "init_from", "arch", "backbone", "size", "loss", "seed"} == set(TRAIN)
    run = plan_of(train=options, seeds=[4], losses=["ce+dice"]).runs[0]
    _, named = called("edgeseg.training.train.train", train_command(plan_of(), Folder(path=Path("o")), run))
    arguments = train_arguments(run.settings)
    assert (named["data"], named["out"]) == (Path("meadow"), Path("o/runs") / run.name)
    assert {name: named[name] for name in arguments} == arguments


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_command_of_a_conversion_is_the_call_that_the_sweep_makes(recipe: str, called: Any, tmp_path: Path) -> None:
    given = {
        "calibration": "images", "images": 9, "target": "edgetpu", "output": "labels", "refine": "ranges, biases",
        "epochs": 2, "distill": True, "force": True,
    }  # fmt: skip
    assert set(given) == set(CONVERT)
    plan, folder = plan_of(recipes=[recipe], convert=given), Folder(path=tmp_path)
    line = convert_command(plan, folder, plan.runs[0], recipe)
    positional, named = called("edgeseg.conversion.convert.convert", line)
    arguments = convert_arguments(plan.convert, recipe)
    assert positional == (str(folder.network(plan.runs[0])), recipe)
    assert named["out"] == folder.file(plan.runs[0], recipe)
    assert {name: named[name] for name in arguments} == arguments
    assert named["data"] == (Path("meadow") if RECIPES[recipe].trained else None)


def test_a_dry_run_prints_a_script_of_every_command(cli: Any, meadow_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        f"data: {meadow_folder}\narchitectures: [fcn32s]\nbackbones: [resnet18_0.1]\nsizes: [64x96]\n"
        "recipes: [int8_ptq, float32]\nseeds: [0, 1]\n"
    )
    done = cli("sweep", tmp_path / "p.yaml", "--dry-run", "--out", tmp_path / "o", "--json", tmp_path / "d.json")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "# 2 trainings, 2 points:"
    plan, folder = checked(read_plan(tmp_path / "p.yaml")), Folder(path=tmp_path / "o")
    for point in plan.points:
        assert f"#   {point.name}" in lines
        assert set(commands_of(plan, folder, point, point.runs)) <= set(lines)
    assert not (tmp_path / "o").exists()
    assert cli("sweep", tmp_path / "q.yaml", "--dry-run").error.startswith(f"plan {tmp_path / 'q.yaml'}: no such file")
