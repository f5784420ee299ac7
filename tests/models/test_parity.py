"""Our outputs against the authors' code at SD-Turbo size, on weights made from their keys.

`parity/` in the shared folder holds the list of keys, the rule that fills them and the authors' outputs.
The parts take seconds; the whole network fills 1,071 M parameters (about 5 GB) and takes a minute or two.

    pytest -s tests/models/test_parity.py       # prints the largest relative error of every golden vector
"""

import importlib.util
import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from unirestore.models import UniRestore
from unirestore.models.accelerated import accelerate
from unirestore.models.convert import rename

TOLERANCE = 1e-3


class Reference:
    """The golden outputs and the rule that fills parameters."""

    def __init__(self, folder):
        self.shapes = {
            rename(key, to_authors=False): (key, shape) for key, shape in _manifest(folder).items()
        }
        self.golden = load_file(folder / "golden.safetensors")
        spec = importlib.util.spec_from_file_location("parity_fill", folder / "fill.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.fill = module.fill
        self.errors: dict[str, tuple[float, float]] = {}

    def load(self, module: nn.Module, prefix: str) -> nn.Module:
        """Fills a sub-module of the model, named by its prefix; strict in keys and shapes."""
        state = {
            name.removeprefix(prefix): self.fill(key, shape)
            for name, (key, shape) in self.shapes.items()
            if name.startswith(prefix)
        }
        module.load_state_dict(state, assign=True)
        return module.eval()

    def check(self, name: str, value: torch.Tensor, by: str = "") -> None:
        """Notes the error, that of the whole vector and the largest of an element, and holds the first against the
        tolerance; `by` says which network computed it where it is not the plain one."""
        wanted = self.golden[name][: len(value)]
        error = float((value - wanted).norm() / wanted.norm())
        furthest = float((value - wanted).abs().max() / wanted.abs().max())
        before = self.errors.get(name + by, (0.0, 0.0))
        self.errors[name + by] = max(before[0], error), max(before[1], furthest)
        assert error < TOLERANCE, f"{name}{by}: relative error {error:.2e}"

    def table(self) -> str:
        """Markdown: a row for each golden vector that was checked, and the largest of all."""
        rows = [*sorted(self.errors.items()), ("largest", tuple(map(max, zip(*self.errors.values()))))]
        width = max(len(name) for name, _ in rows)
        lines = [f"| {'golden vector':{width}} | relative error | largest element |"]
        lines += [f"|{'-' * (width + 2)}|---------------:|----------------:|"]
        lines += [f"| {name:{width}} | {error:14.1e} | {element:15.1e} |" for name, (error, element) in rows]
        return "\n".join(lines)


def _manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


@pytest.fixture(scope="module")
def reference(shared):
    if not (shared / "parity" / "golden.safetensors").is_file():
        pytest.skip(f"no golden vectors in {shared / 'parity'}")
    reference = Reference(shared / "parity")
    yield reference
    if reference.errors:
        print(f"\n\nour outputs against the authors', tolerance {TOLERANCE:.0e} of the whole vector:")
        print(reference.table())


@pytest.fixture(scope="module")
def skeleton():
    """The sd_turbo model without memory behind it; parts of it are filled by the tests."""
    with torch.device("meta"):
        return UniRestore.build("sd_turbo")


@torch.no_grad()
def test_cfrm_level(reference, skeleton):
    level = reference.load(skeleton.cfrm[0], "cfrm.0.")
    reference.check("encode.cfrm.0", level(reference.golden["encode_plain.taps.0"]))


@torch.no_grad()
def test_controller(reference, skeleton):
    controller = reference.load(skeleton.prior.controller, "prior.controller.")
    latent = 0.18215 * reference.golden["encode.mean"]
    for t in (999, 499):
        for level, control in enumerate(controller(latent, torch.tensor([t, t]))):
            reference.check(f"t{t}.control.{control.shape[-1]}", control)
            assert control.shape[-1] == 16 >> level


@torch.no_grad()
def test_tfa_and_decoder(reference, skeleton):
    reference.load(skeleton.vae, "vae.")
    reference.load(skeleton.tfa, "tfa.")
    reference.load(skeleton.prompts, "prompts.")
    golden = reference.golden
    latent = 0.18215 * golden["encode.mean"][:1]
    skips = [golden[f"encode.cfrm.{level}"][:1] for level in range(3)]
    for task in ("ir", "cls"):
        reference.check(f"decode.{task}", skeleton.decode(latent, skips, task))
    difference = (golden["decode.ir"] - golden["decode.cls"]).norm() / golden["decode.ir"].norm()
    assert difference > 10 * TOLERANCE  # the golden tasks differ by more than we tolerate


@pytest.mark.slow
@torch.no_grad()
def test_whole_network(reference):
    with torch.device("meta"):
        model = UniRestore.build("sd_turbo")
    reference.load(model, "")
    golden = reference.golden
    images, noise = golden["images"], golden["noise"]
    seen, plain = model.encode(images), model.encode(images, repair=False)
    reference.check("encode.mean", seen.latent / 0.18215)
    reference.check("encode.logvar", model.posterior(images, repair=True)[1])
    reference.check("encode_plain.mean", plain.latent / 0.18215)
    for level in range(3):
        reference.check(f"encode.cfrm.{level}", seen.skips[level])
        reference.check(f"encode_plain.taps.{level}", plain.skips[level])
    noisy = model.prior.add_noise(seen.latent, noise, 999)
    reference.check("zt", noisy)
    for t in (999, 499):
        reference.check(f"t{t}.eps", model.prior.predict_noise(noisy, t, seen.latent))
    latent = model.denoise(seen.latent, noise=noise)
    reference.check("z_restored", latent)
    for task in ("cls", "seg", "det"):
        reference.check(f"decode.{task}", model.decode(seen.latent, seen.skips, task))
        reference.check(f"restored.{task}", model.decode(latent, seen.skips, task, size=seen.size))
    reference.check("restored.ir", model(images, "ir", noise=noise))
    reference.check("restored.ir", accelerate(model)(images, "ir", noise=noise), " (accelerated)")
