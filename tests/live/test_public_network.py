"""A public network without a card, on a public image with its mask: the whole way from `edgeseg run` to pixels."""

import json

import numpy as np

from edgeseg.image import read_label_map


def test_pixel_agreement_with_the_published_mask(cli, test_data, tmp_path):
    network = test_data / "backbones/deeplabv3_mnv2_dm05_pascal_quant.tflite"
    done = cli(
        "run", network, "--source", test_data / "coral/bird_segmentation.bmp", "--headless", "--save-labels", tmp_path,
        "--stats", tmp_path / "stats.json", "--labels", test_data / "coral/pascal_voc_segmentation_labels.txt",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    (found,) = tmp_path.glob("*.png")
    truth, label_map = read_label_map(test_data / "coral/bird_segmentation_mask.bmp"), read_label_map(found)
    counted = truth != 255
    assert np.mean(label_map[counted] == truth[counted]) >= 0.955
    assert json.loads((tmp_path / "stats.json").read_text())["frames"] == 1
