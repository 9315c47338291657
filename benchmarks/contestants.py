"""The workers of `inference.py`: each holds one way to compute PaSST and does what the parent's lines ask.

    python benchmarks/contestants.py NAME FOLDER

`make` writes the common weights and sound into the folder; `peak` measures matrix products; the others are
named `published`, `earmark fp32` and so on.  Answers are lines of JSON.
"""

import contextlib
import importlib.util
import io
import json
import os
import resource
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import numpy as np
import torch

RATE, SECONDS, MOST_CLIPS = 32000, 10, 8
Run = Callable[[int], Any]
"""A number of clips to whatever is computed for them: logits, or features."""


def published_mel() -> Any:
    """hear21passt's front end, as its own `get_basic_model` has it; the other arguments are the defaults."""
    import_published()
    from hear21passt.models.preprocess import AugmentMelSTFT

    return AugmentMelSTFT(sr=RATE, fmin_aug_range=10, fmax_aug_range=2000).eval()


def published_net() -> Any:
    """hear21passt's PaSST-S with random weights."""
    import_published()
    from hear21passt.models.passt import get_model

    return get_model(arch="passt_s_swa_p16_128_ap476", pretrained=False).eval()


def import_published() -> None:
    """Make hear21passt importable beside a torch without CUDA.

    Of timm it needs a function that downloads pretrained weights, which gets a stand-in.
    """
    without_library()
    stand_in("timm", {})
    stand_in("timm.models", {})
    stand_in("timm.models._hub", {"download_cached_file": None})


def without_library() -> None:
    """Import torchaudio without its compiled part, which is built for CUDA and which nobody here calls."""
    absent = {"fail_if_no_align": lambda function: function, "_IS_TORCHAUDIO_EXT_AVAILABLE": False}
    stand_in("torchaudio._extension", absent)


def stand_in(name: str, content: dict[str, Any]) -> None:
    """A module that holds no more than this, unless there is one."""
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules.setdefault(name, module)


def make(folder: Path, seed: int) -> None:
    """Random weights, as published code initializes them, and eight clips of noise of different loudness."""
    torch.manual_seed(seed)
    net = published_net()
    torch.save(net.state_dict(), folder / "passt.pt")
    loudness = torch.logspace(-2, -0.5, MOST_CLIPS)[:, None]
    sound = (torch.randn(MOST_CLIPS, RATE * SECONDS) * loudness).clamp(-1, 1)
    np.save(folder / "sound.npy", sound.numpy())
    with torch.inference_mode():
        np.save(folder / "features.npy", published_mel()(sound)[:, None, :, :998].numpy())
    if importlib.util.find_spec("onnx") is None:
        return  # without onnx there is nothing to compare with
    example = (torch.zeros(1, 1, 128, 998),)
    axes = {"features": {0: "batch"}, "logits": {0: "batch"}}
    names = {"input_names": ["features"], "output_names": ["logits", "embedding"], "dynamic_axes": axes}
    torch.onnx.export(net, example, str(folder / "passt.onnx"), dynamo=False, opset_version=17, **names)


def published(folder: Path, how: str) -> dict[str, Run]:
    """hear21passt as its users have it; `how` is default or autocast."""
    net, mel = published_net(), published_mel()
    net.load_state_dict(torch.load(folder / "passt.pt", weights_only=True))
    sound = torch.from_numpy(np.load(folder / "sound.npy"))

    def tag(clips: int) -> Any:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            return net(mel(sound[:clips])[:, None])[0].float().numpy()

    def hear(clips: int) -> Any:
        with torch.no_grad():
            return mel(sound[:clips]).numpy()

    return {"tag": tag, "hear": hear}


def earmark(folder: Path, how: str) -> dict[str, Run]:
    """earmark; `how` is fp32, bf16 or int8 as the command line runs it, or library: fp32, plain process."""
    import earmark
    from earmark.cli.allocator import keep_memory

    if how != "library":
        keep_memory()
    model = earmark.load(folder / "passt.pt", precision="fp32" if how == "library" else how)  # pyright: ignore[reportArgumentType]  # one of three
    sound = torch.from_numpy(np.load(folder / "sound.npy"))

    def tag(clips: int) -> Any:
        with torch.inference_mode():
            return model(sound[:clips]).numpy()

    def hear(clips: int) -> Any:
        with torch.inference_mode():
            return model.frontend(sound[:clips]).numpy()

    return {"tag": tag, "hear": hear}


def transformers(folder: Path, how: str) -> dict[str, Run]:
    """transformers' AST with random weights, which it writes for earmark's."""
    without_library()
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(0)
    extract, net = ASTFeatureExtractor(), ASTForAudioClassification(ASTConfig(num_labels=527)).eval()
    torch.save(net.state_dict(), folder / "ast.pt")

    def tag(clips: int) -> Any:
        features = extract(list(ast_sound(clips)), sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            return net(**features).logits.numpy()

    return {"tag": tag}


def earmark_ast(folder: Path, how: str) -> dict[str, Run]:
    """earmark on the same weights."""
    import earmark
    from earmark.cli.allocator import keep_memory

    keep_memory()
    model = earmark.load(folder / "ast.pt")

    def tag(clips: int) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(ast_sound(clips))).numpy()

    return {"tag": tag}


def ast_sound(clips: int) -> np.ndarray:
    """Noise at AST's rate."""
    return np.random.default_rng(0).normal(0, 0.1, (clips, 16000 * SECONDS)).astype(np.float32)


def onnxruntime(folder: Path, how: str) -> dict[str, Run]:
    """ONNX Runtime on the published net, without its front end; int8 is its dynamic quantization."""
    import onnxruntime as ort
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "passt.onnx"
    if how == "int8":
        path, exact = folder / "passt-int8.onnx", path
        options = {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True}
        quantize_dynamic(str(exact), str(path), op_types_to_quantize=["MatMul", "Gemm"], **options)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    features = np.load(folder / "features.npy")
    return {"tag": lambda clips: session.run(["logits"], {"features": features[:clips]})[0]}


def openvino(folder: Path, how: str) -> dict[str, Run]:
    """OpenVINO on the published net, without its front end; int8 is nncf's static quantization."""
    import openvino as ov

    core = ov.Core()
    net = core.read_model(str(folder / "passt.onnx"))
    features = np.load(folder / "features.npy")
    if how == "int8":
        import nncf

        calibration = nncf.Dataset([features[:1], features[-1:]])
        net = nncf.quantize(net, calibration, model_type=nncf.ModelType.TRANSFORMER, subset_size=2)
    threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": 1}
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if how == "bf16" else "f32"}
    request = core.compile_model(net, "CPU", threads | hint).create_infer_request()
    return {"tag": lambda clips: request.infer({0: features[:clips]})[0].copy()}


def peak(folder: Path, how: str) -> dict[str, Run]:
    """Billions of operations a second in large products, the best of some: what this core can do."""
    size = 1536

    def best(product: Callable[[], object], times: int = 12) -> float:
        product()
        spent: list[float] = []
        for _ in range(times):
            started = time.process_time()
            product()
            spent.append(time.process_time() - started)
        return 2 * size**3 / min(spent) / 1e9

    def measure(clips: int) -> Any:
        a, b = torch.randn(2, size, size)
        halves = a.bfloat16(), b.bfloat16()
        rates = {
            "fp32": best(lambda: torch.nn.functional.linear(a, b)),
            "bf16": best(lambda: torch.nn.functional.linear(*halves), 3),
        }
        levels, scales = torch.randint(0, 127, (size, size), dtype=torch.uint8), torch.ones(size)
        packed = torch.ops.onednn.qlinear_prepack((40 * b).clamp(-127, 127).to(torch.int8), None)
        zeros, plain = torch.zeros(size, dtype=torch.int32), (None, 1.0, 0, torch.float32, "none", [], "")
        given = (levels, 1.0, 64, packed, scales, zeros, *plain)
        rates["int8"] = best(lambda: torch.ops.onednn.qlinear_pointwise(*given))
        return np.array([rates["fp32"], rates["bf16"], rates["int8"]])

    return {"tag": measure}


def timed(run: Run, clips: int) -> dict[str, Any]:
    """What one call costs, and what it gives."""
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    cpu, wall = time.process_time(), time.perf_counter()
    given = run(clips)
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "given": given.tolist() if given.ndim < 3 else None,
    }


MAKERS = (published, earmark, transformers, earmark_ast, onnxruntime, openvino, peak)


def main() -> None:
    name, folder, answers = sys.argv[1], Path(sys.argv[2]), sys.stdout
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    with contextlib.redirect_stdout(io.StringIO()):  # hear21passt prints its whole net
        if name == "make":
            make(folder, int(sys.argv[3]))
            return
        maker, _, how = name.partition(" ")
        can = {each.__name__: each for each in MAKERS}[maker](folder, how)
        answers.write(json.dumps(sorted(can)) + "\n")
        answers.flush()
        for line in sys.stdin:
            asked = json.loads(line)
            answers.write(json.dumps(timed(can[asked["do"]], asked["clips"])) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
