"""Cards for tests."""

from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe
from edgeseg.provenance import CalibrationRecord, Score, TrainingRecord

SMALL = ModelCard(
    name="elsewhere_4x6",
    architecture="",
    backbone="",
    output_stride=0,
    input=InputSpec(height=4, width=6),
    labels=LabelSet.from_names(("ground", "water")),
    recipe=Recipe(name="float32"),
)

FULL = ModelCard(
    name="deeplab_v3plus_mobilenet_v2_0.5_camvid_240x320",
    architecture="deeplab_v3plus",
    backbone="mobilenet_v2_0.5",
    output_stride=16,
    input=InputSpec(height=240, width=320, mean=127.5, std=127.5, resize="letterbox"),
    labels=LabelSet(names=("Straße", "sky"), colors=((128, 64, 128), (0, 0, 255)), ignore_index=11),
    recipe=Recipe(name="int8_ptq", output="labels", target="edgetpu"),
    calibration=CalibrationRecord(source="camvid train", count=64, digest="ab" * 32),
    training=TrainingRecord(
        dataset="camvid", images=367, epochs=40, batch_size=8, crop=(240, 320), loss="ce", learning_rate=1e-3,
        weight_decay=2e-4, seed=0, init="random", best_epoch=37, best_miou=0.652, wall_s=780.5,
    ),
    scores=(Score(dataset="camvid", split="val", images=101, miou=0.652, pixel_accuracy=0.91),),
    agreement=0.9954,
    licence="CC-BY-NC-SA",
    tools=(("edgeseg", "0.1.0"), ("tensorflow", "2.21.0")),
)  # fmt: skip
