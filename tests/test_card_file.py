"""The card inside a model's file: it survives a copy, and no damage goes unnoticed."""

import contextlib
import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cards import FULL, SMALL
from commands import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_models import CLASSES, Builder, colour_model

from edgeseg.card import InputSpec, LabelSet, ModelCard
from edgeseg.card_file import MEMBER, attach, detach, graph_of, read_model, write_model
from edgeseg.card_mark import MARK, is_marked, marked, unmarked
from edgeseg.errors import ModelFileError, OutputError
from edgeseg.files import digest
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.tflite.graph import parse_graph

CARD = dataclasses.replace(
    SMALL, input=InputSpec(height=32, width=48), labels=LabelSet.from_names(CLASSES)
)  # of `colour_model`
# Without a root table: it gets no mark, as files of before the mark have none.
GRAPH = b"\xff\xff\xff\x7fTFL3" + bytes(range(256)) * 3


def keras_file() -> bytes:
    """An archive like a `.keras` file, its weights compressed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", '{"class_name": "Functional"}')
        archive.writestr("model.weights.h5", bytes(range(256)) * 4)
    return packed.getvalue()


FILES = {"tflite": GRAPH, "keras": keras_file()}


def unstamped(card: ModelCard | None) -> ModelCard:
    assert card is not None
    return dataclasses.replace(card, graph_digest="")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("card", [SMALL, FULL], ids=["small", "full"])
def test_a_card_goes_in_and_comes_out(kind: str, card: ModelCard) -> None:
    assert unstamped(detach(attach(FILES[kind], card))) == card


@pytest.mark.parametrize("kind", FILES)
def test_a_file_without_a_card_has_none(kind: str) -> None:
    assert detach(FILES[kind]) is None


def test_the_graph_is_unchanged_and_its_digest_is_in_the_card() -> None:
    model = attach(GRAPH, SMALL)
    assert bytes(graph_of(model)) == bytes(graph_of(GRAPH)) == GRAPH
    assert detach(model).graph_digest == digest(GRAPH)


def test_the_members_of_a_keras_file_are_unchanged() -> None:
    with zipfile.ZipFile(io.BytesIO(attach(FILES["keras"], SMALL))) as after:
        assert after.testzip() is None
        with zipfile.ZipFile(io.BytesIO(FILES["keras"])) as before:
            assert after.namelist() == [*before.namelist(), MEMBER]
            assert all(after.read(name) == before.read(name) for name in before.namelist())


@pytest.mark.parametrize("kind", FILES)
def test_a_new_card_replaces_the_old_one(kind: str) -> None:
    once = attach(FILES[kind], SMALL)
    twice = attach(attach(FILES[kind], FULL), SMALL)
    assert twice == once


@pytest.mark.parametrize("kind", FILES)
def test_any_zip_tool_shows_the_card(kind: str, tmp_path: Path) -> None:
    write_model(tmp_path / "model", FILES[kind], FULL)
    with zipfile.ZipFile(tmp_path / "model") as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read(MEMBER))["name"] == FULL.name


def test_the_form_of_the_archive_is_the_one_of_pythons_zipfile() -> None:
    """Files written before by zipfile stay readable, and a change of the form would make older files unreadable."""
    packed = io.BytesIO()
    model = attach(GRAPH, SMALL)
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        card = archive.read(MEMBER)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), card)
    assert model == GRAPH + packed.getvalue()


def test_a_file_with_other_appended_archives_has_no_card() -> None:
    """TFLite metadata: label files in a zip behind the graph."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    model = GRAPH + packed.getvalue()
    assert detach(model) is None
    assert unstamped(detach(attach(model, SMALL))) == SMALL
    assert bytes(graph_of(attach(model, SMALL))) == model


MODELS = {kind: attach(content, SMALL) for kind, content in FILES.items()}


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_changed_byte_is_noticed(kind: str, data: st.DataObject) -> None:
    model = bytearray(MODELS[kind])
    model[data.draw(st.integers(0, len(model) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ModelFileError):
        detach(bytes(model))


def test_every_single_flipped_bit_of_the_card_is_noticed() -> None:
    model = MODELS["tflite"]
    for index in range(len(GRAPH), len(model)):
        for bit in (0, 5, 7):
            damaged = bytearray(model)
            damaged[index] ^= 1 << bit
            with pytest.raises(ModelFileError):
                detach(bytes(damaged))


def test_a_tflite_file_cut_off_anywhere_in_its_card_is_noticed() -> None:
    model = MODELS["tflite"]
    for length in range(len(GRAPH) + len(b"PK\x03\x04"), len(model)):
        with pytest.raises(ModelFileError):
            detach(model[:length])


@given(keep=st.integers(200, len(MODELS["keras"]) - 1))
def test_a_keras_file_cut_off_in_its_card_is_noticed(keep: int) -> None:
    model = MODELS["keras"]
    keep = max(keep, model.index(MEMBER.encode()) + len(MEMBER))
    with pytest.raises(ModelFileError):
        detach(model[:keep])


@given(extra=st.binary(min_size=1, max_size=40))
@example(extra=b"\0")
def test_anything_appended_is_noticed(extra: bytes) -> None:
    for model in MODELS.values():
        with pytest.raises(ModelFileError):
            detach(model + extra)


# === Lost cards ===


def flatbuffer() -> bytes:
    """A network that runs: its flatbuffer has a description, which takes the mark."""
    return colour_model()


def test_the_mark_changes_nothing_that_runs() -> None:
    graph = flatbuffer()
    with_mark = marked(graph)
    assert MARK in with_mark
    assert with_mark[72:] == graph[8:]
    assert unmarked(with_mark) == graph
    assert marked(with_mark) == with_mark
    assert unmarked(graph) == graph
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    assert np.array_equal(Segmenter(attach(graph, CARD)).segment(image), Segmenter(graph).segment(image))


@given(st.binary(max_size=60))
@example(b"")
@example(b"TFL3TFL3TFL3")
def test_what_is_no_flatbuffer_gets_no_mark(content: bytes) -> None:
    for graph in (content, GRAPH[:8] + content, b"\x1c\0\0\0TFL3" + content):
        assert unmarked(marked(graph)) == graph


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 40, 300], ids=lambda left: f"{left} bytes of the card left")
def test_a_tflite_file_that_lost_its_card_is_refused(cut: int) -> None:
    model = attach(flatbuffer(), CARD)
    start = len(graph_of(model))
    for entry in (detach, graph_of, parse_graph) if cut < 40 else (detach,):
        with pytest.raises(ModelFileError, match=r"damaged|cut off"):
            entry(model[: start + cut])
        with pytest.raises(ModelFileError, match=r"damaged|cut off"):
            entry(model[: start + cut] + bytes(len(model) - start - cut))  # as a download that was never finished


def test_damage_from_the_end_of_the_graph_on_is_told_by_the_mark_at_its_beginning() -> None:
    model = attach(flatbuffer(), CARD)
    start = len(graph_of(model))
    for before in (0, 40, 200):
        with pytest.raises(ModelFileError, match="it had a card, which is gone"):
            detach(model[: start - before] + bytes(len(model) - start + before))


def test_a_large_file_that_lost_its_card_is_refused() -> None:
    """Only the end of a file is searched for a card."""
    large = Builder()
    large.tensor("filler", (5 << 20,), np.uint8, data=np.zeros(5 << 20))
    graph = marked(large.build([], []))
    with pytest.raises(ModelFileError, match="it had a card, which is gone"):
        parse_graph(graph)


def test_a_file_of_before_the_mark_that_lost_its_card_is_told_by_what_remains() -> None:
    model = MODELS["tflite"]
    assert MARK not in model
    for part in (b"PK", MEMBER.encode()):
        with pytest.raises(ModelFileError):
            detach(model.replace(part, bytes(len(part))))


KEYS = ['"graph_digest": ', '"best_miou": ', '"output_stride": ', '"pixel_accuracy": ']


@pytest.mark.parametrize("part", [MEMBER, *KEYS])
def test_whatever_remains_of_a_card_at_the_end_of_a_file_tells_that_there_was_one(part: str) -> None:
    most = 4 << 20  # a card is not larger
    for behind in (b"", bytes(most - len(part))):
        with pytest.raises(ModelFileError, match="damaged"):
            detach(GRAPH + part.encode() + behind)
    if part != MEMBER:  # which is searched for everywhere
        assert detach(GRAPH + part.encode() + bytes(most)) is None


@pytest.mark.parametrize("key", KEYS)
def test_the_configuration_of_a_keras_network_may_have_words_of_a_card(key: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("config.json", f"{{{key}16}}")
    if key == KEYS[0]:
        with pytest.raises(ModelFileError, match="it had a card, which is gone"):
            detach(packed.getvalue())
    else:
        assert detach(packed.getvalue()) is None


def test_a_card_without_a_graph_before_it() -> None:
    assert bytes(graph_of(attach(b"", SMALL))) == b""
    with pytest.raises(ModelFileError, match="cut off in its card"):
        graph_of(b"PK\x03\x04")
    with pytest.raises(ModelFileError, match="damaged where its card begins"):
        detach(MEMBER.encode())


def test_members_of_a_keras_file_may_have_names_in_any_letters() -> None:
    packed = io.BytesIO(FILES["keras"])
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("größe.txt", "48x64")
    model = attach(packed.getvalue(), SMALL)
    assert unstamped(detach(model)) == SMALL
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.read("größe.txt") == b"48x64"


def test_a_keras_file_whose_card_has_another_name_is_refused() -> None:
    """Two damaged bytes, one in each of the places where a zip archive keeps the name."""
    renamed = MODELS["keras"].replace(MEMBER.encode(), MEMBER.replace("card", "cord").encode())
    with zipfile.ZipFile(io.BytesIO(renamed)) as archive:
        assert archive.testzip() is None
    with pytest.raises(ModelFileError, match="it had a card, which is gone"):
        detach(renamed)


def test_the_shipped_models_are_marked() -> None:
    for file in sorted((ROOT / "models").glob("*/*.tflite")):
        content, card = read_model(file)
        assert is_marked(content)
        assert card is not None


def test_a_card_moved_to_another_graph_is_noticed() -> None:
    model = MODELS["tflite"]
    with pytest.raises(ModelFileError, match=r"the file is damaged: its digest is \w{12}…, its card says \w{12}…"):
        detach(GRAPH.replace(b"TFL3", b"TFL4") + model[len(GRAPH) :])


@given(st.binary(max_size=400))
@example(b"PK\x03\x04")
@example(b"PK\x05\x06" + bytes(18))
@example(MEMBER.encode())
def test_no_bytes_do_anything_but_raise_a_model_file_error(content: bytes) -> None:
    for model in (content, GRAPH + content, b"PK\x03\x04" + content):
        with contextlib.suppress(ModelFileError):
            assert detach(model) is None


def test_reading_proves_the_file_whole(tmp_path: Path) -> None:
    write_model(tmp_path / "m.tflite", GRAPH, FULL)
    content, card = read_model(tmp_path / "m.tflite")
    assert content == attach(GRAPH, FULL)
    assert unstamped(card) == FULL
    (tmp_path / "m.tflite").write_bytes(content[:100] + b"?" + content[101:])
    with pytest.raises(ModelFileError, match=r"m\.tflite: the file is damaged: .*; copy or convert it again"):
        read_model(tmp_path / "m.tflite")


def test_what_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"cannot read model .*absent\.tflite: No such file or directory"):
        read_model(tmp_path / "absent.tflite")
    with pytest.raises(ModelFileError, match=r"cannot read model .*: Is a directory"):
        read_model(tmp_path)
    with pytest.raises(OutputError):
        write_model(tmp_path, GRAPH, SMALL)


def with_weights_behind(graph: bytes) -> bytes:
    """Puts a file's largest buffer behind the flatbuffer, as ai-edge-quantizer and the converter's large files do."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(graph), 0))
    buffer = max(model.buffers, key=lambda b: 0 if b.data is None else len(b.data))
    data, buffer.data, buffer.size, buffer.offset = bytes(bytearray(buffer.data)), None, 0, 1
    for _ in range(2):  # the second time the flatbuffer's size is known
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        packed = bytes(builder.Output())
        buffer.size, buffer.offset = len(data), -(-len(packed) // 16) * 16 + 64
    return packed.ljust(_offset_in(packed), b"\0") + data


def _offset_in(graph: bytes) -> int:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(bytearray(graph), 0)
    return max(model.Buffers(i).Offset() for i in range(model.BuffersLength()))


def test_weights_behind_the_flatbuffer_stay_where_it_looks_for_them(tiny_model: Path, photo: Any) -> None:
    """A mark before them would move them, and the network would choose otherwise without a word."""
    graph, card = bytes(graph_of(tiny_model.read_bytes())), detach(tiny_model.read_bytes())
    assert card is not None
    moved = with_weights_behind(unmarked(graph))
    assert len(moved) > _offset_in(moved) > 1
    carded = attach(moved, card)
    assert carded.startswith(moved)
    assert detach(carded) is not None
    same = Segmenter(carded).segment(photo), Segmenter(tiny_model).segment(photo)
    np.testing.assert_array_equal(*same)
