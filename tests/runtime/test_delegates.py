"""Delegates: what `--delegate` means, and real shared objects that work, refuse, crash and hang."""

import shutil
import subprocess

import numpy as np
import pytest
from tiny_models import colour_model, painted

from edgeseg.errors import DelegateError, UsageError
from edgeseg.runtime import delegates
from edgeseg.runtime.delegates import DelegateSpec, parse_delegate, probe
from edgeseg.runtime.segmenter import Segmenter

# What every external delegate has: TfLiteDelegate as tensorflow/lite/core/c/common.h lays it out, and the two functions
# of external_delegate_interface.h. One that claims no operator runs any model.
SOURCE = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct Delegate {
  void *data;
  int (*prepare)(void *context, struct Delegate *self);
  int (*copy_from)(void), (*copy_to)(void);
  void (*free_handle)(void);
  int64_t flags;
  void *opaque;
};
static int prepare(void *context, struct Delegate *self) { PREPARE }
struct Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  CREATE
  struct Delegate *made = calloc(1, sizeof *made);
  made->prepare = prepare;
  return made;
}
void tflite_plugin_destroy_delegate(struct Delegate *made) { free(made); }
"""


@pytest.fixture
def build(tmp_path):
    """`build(create, prepare)` compiles a delegate from the bodies of its two functions and returns its path."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")

    def make(create: str = "", prepare: str = "return 0;") -> str:
        source, library = tmp_path / "delegate.c", tmp_path / "libdelegate.so"
        source.write_text(SOURCE.replace("CREATE", create).replace("PREPARE", prepare))
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
        return str(library)

    return make


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(colour_model())
    return path


def test_a_delegate_that_works(build, model):
    library = build()
    segmenter = Segmenter(model, delegate=library)
    assert segmenter.delegate == library
    truth = np.tile([0, 1, 2, 3], (32, 12))
    np.testing.assert_array_equal(segmenter.segment(painted(truth)), truth)
    assert segmenter.twin() is None  # one device, one interpreter


def test_options_reach_it(build, model):
    needs = 'if (count != 1 || strcmp(keys[0], "device") || strcmp(values[0], "usb")) { report("no usb"); return 0; }'
    library = build(create=needs)
    assert Segmenter(model, delegate=f"{library},device=usb").delegate == f"{library},device=usb"
    with pytest.raises(DelegateError, match="no usb"):
        Segmenter(model, delegate=f"{library},device=pci")


def test_one_that_refuses(build, model):
    library = build(create='report("no accelerator on this machine"); return 0;')
    with pytest.raises(DelegateError, match=r"no accelerator on this machine; check the library's path") as caught:
        Segmenter(model, delegate=library)
    assert "\n" not in str(caught.value)


def test_one_that_fails_with_this_model(build, model):
    with pytest.raises(DelegateError, match="check the library"):
        Segmenter(model, delegate=build(prepare="return 1;"))


@pytest.mark.parametrize("where", ["create", "prepare"])
def test_one_that_crashes_takes_only_its_own_process(build, model, where):
    crash = "*(volatile int *)0 = 1;"
    library = build(create=crash) if where == "create" else build(prepare=crash + " return 0;")
    with pytest.raises(DelegateError, match=r"crashes when loaded \(SIGSEGV\).*another TFLite version"):
        Segmenter(model, delegate=library)


def test_one_that_hangs(build, model, monkeypatch):
    monkeypatch.setattr(delegates, "_PROBE_SECONDS", 1.0)
    with pytest.raises(DelegateError, match="hangs"):
        Segmenter(model, delegate=build(create="sleep(60);"))


def test_a_file_that_is_no_library(tmp_path, model):
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(DelegateError, match=r"text\.so"):
        Segmenter(model, delegate=str(tmp_path / "text.so"))
    with pytest.raises(DelegateError, match="no such file"):
        Segmenter(model, delegate=str(tmp_path / "absent.so"))


@pytest.mark.skipif(delegates.find_edgetpu() is not None, reason="libedgetpu is installed here")
def test_without_libedgetpu_the_message_says_what_to_install(model):
    with pytest.raises(DelegateError, match="install libedgetpu1-std"):
        Segmenter(model, delegate="edgetpu")


def test_the_edgetpu_remedies():
    probe_of = DelegateSpec(name="edgetpu", library="libedgetpu.so.1")
    assert "feranick" in delegates._crash_remedy(probe_of)
    assert "libedgetpu1-std" in delegates._refusal_remedy(probe_of, "cannot open shared object file")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (None, DelegateSpec(name="auto")),
        ("none", DelegateSpec(name="none")),
        ("xnnpack", DelegateSpec(name="xnnpack")),
        ("edgetpu", DelegateSpec(name="edgetpu", library="libedgetpu.so.1")),
        ("edgetpu:usb", DelegateSpec(name="edgetpu", library="libedgetpu.so.1", options=(("device", "usb"),))),
        ("edgetpu:1", DelegateSpec(name="edgetpu", library="libedgetpu.so.1", options=(("device", ":1"),))),
        ("/a/b.so,x=1,y=", DelegateSpec(name="external", library="/a/b.so", options=(("x", "1"), ("y", "")))),
        ("libx.so", DelegateSpec(name="external", library="libx.so")),
    ],
)
def test_forms(text, spec):
    assert parse_delegate(text) == spec
    if text is not None:
        assert str(spec) == text


@pytest.mark.parametrize("text", ["gpu", "edgetpu:wifi", "/a/b.so,fast", "/a/b.so,=1", ""])
def test_other_words_are_refused(text):
    with pytest.raises(UsageError, match="expected"):
        parse_delegate(text)


def test_probing_a_good_delegate_says_nothing(build, model):
    assert probe(parse_delegate(build()), str(model)) is None
