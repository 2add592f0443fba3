#!/usr/bin/env python3
"""Makes broken models and, with --check, holds the program to what it promises about them.

    python3 tools/make_broken.py OUT                     writes OUT/<name>/... and OUT/cases.json
    python3 tools/make_broken.py OUT --check BINARY      also runs every case

cases.json is a list of {"name", "command"}: the arguments of the program. Every case must end with
exit code 2, nothing on stdout, one line on stderr, within a second and 200 MB. Everything is made
from tests/golden, tests/data/gguf and models/nereus-seed, byte for byte the same each time.
"""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
QWEN2 = ROOT / "tests" / "golden" / "qwen2"
V3 = ROOT / "tests" / "golden" / "v3"
SHARDED = ROOT / "tests" / "golden" / "v2_lite"
FP8 = ROOT / "tests" / "golden" / "v3_fp8"
SEED = ROOT / "models" / "nereus-seed"
GGUF = ROOT / "tests" / "data" / "gguf" / "qwen2.gguf"
GGUF_SPLIT = ROOT / "tests" / "data" / "gguf"
PACK = ROOT / "tests" / "data" / "pack"

SECONDS_MAX = 1.0
KILOBYTES_MAX = 200_000
CASES = {}


def case(command="inspect", source=QWEN2):
    """Registers a function that spoils a copy of `source`; it returns what to open, or None."""
    def register(function):
        CASES[function.__name__] = (function, command, source)
        return function
    return register


# Editing ------------------------------------------------------------------------------------------

def edit_json(path, change):
    """`change` gets the parsed file and may return a replacement text."""
    value = json.loads(path.read_text())
    text = change(value)
    path.unlink()
    path.write_text(text if isinstance(text, str) else json.dumps(value))


def set_config(folder, **values):
    edit_json(folder / "config.json", lambda c: c.update(values))


def read_safetensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    return json.loads(raw[8:8 + length]), raw[8 + length:]


def write_safetensors(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.unlink(missing_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def edit_header(folder, change, name="model.safetensors"):
    header, data = read_safetensors(folder / name)
    changed = change(header)
    write_safetensors(folder / name, header if changed is None else changed, data)


def edit_entry(folder, **values):
    """Changes fields of the last tensor's header entry."""
    def change(header):
        name = max((k for k in header if k != "__metadata__"),
                   key=lambda k: header[k]["data_offsets"])
        header[name].update(values)
    edit_header(folder, change)


def patch(path, offset, data):
    raw = bytearray(path.read_bytes())
    raw[offset:offset + len(data)] = data
    path.unlink()
    path.write_bytes(raw)


def patch_after(path, marker, distance, data):
    """Overwrites bytes `distance` after the end of `marker`."""
    place = path.read_bytes().index(marker) + len(marker) + distance
    patch(path, place, data)


def without_tensor(folder, suffix, name="model.safetensors"):
    """Drops a tensor and its bytes."""
    header, data = read_safetensors(folder / name)
    gone = next(k for k in header if k.endswith(suffix))
    begin, end = header.pop(gone)["data_offsets"]
    for key, entry in header.items():
        if key != "__metadata__" and entry["data_offsets"][0] >= end:
            entry["data_offsets"] = [offset - (end - begin) for offset in entry["data_offsets"]]
    write_safetensors(folder / name, header, data[:begin] + data[end:])


def transposed(folder, suffix):
    def change(header):
        name = next(k for k in header if k.endswith(suffix))
        header[name]["shape"].reverse()
    edit_header(folder, change)


# Paths --------------------------------------------------------------------------------------------

@case(source=None)
def path_missing(folder):
    return folder / "nothing"


@case(source=None)
def path_empty_folder(folder):
    return folder


@case(source=None)
def path_fifo(folder):
    os.mkfifo(folder / "model.gguf")
    return folder / "model.gguf"


@case(source=None)
def path_dangling_link(folder):
    (folder / "model.gguf").symlink_to("nowhere")
    return folder / "model.gguf"


@case(source=None)
def path_empty_file(folder):
    (folder / "model.gguf").write_bytes(b"")
    return folder / "model.gguf"


@case(source=None)
def path_folder_named_gguf(folder):
    (folder / "model.gguf").mkdir()
    return folder / "model.gguf"


@case(source=None)
def path_text_file(folder):
    (folder / "notes.txt").write_text("hello")
    return folder / "notes.txt"


@case(source=None)
def path_lfs_pointer(folder):
    (folder / "model.gguf").write_text("version https://git-lfs.github.com/spec/v1\n")
    return folder / "model.gguf"


# config.json --------------------------------------------------------------------------------------

@case()
def config_empty(folder):
    edit_json(folder / "config.json", lambda c: "")


@case()
def config_cut(folder):
    edit_json(folder / "config.json", lambda c: json.dumps(c)[:60])


@case()
def config_array(folder):
    edit_json(folder / "config.json", lambda c: "[]")


@case()
def config_deep(folder):
    edit_json(folder / "config.json", lambda c: "[" * 100_000)


@case()
def config_is_a_folder(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


@case()
def config_is_a_fifo(folder):
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


@case()
def config_nan(folder):
    set_config(folder, rms_norm_eps=float("nan"))


@case()
def config_infinity(folder):
    set_config(folder, rope_theta=float("inf"))


@case()
def config_negative_size(folder):
    set_config(folder, hidden_size=-96)


@case()
def config_zero_heads(folder):
    set_config(folder, num_attention_heads=0)


@case()
def config_huge_layers(folder):
    set_config(folder, num_hidden_layers=2**31)


@case()
def config_fractional_size(folder):
    set_config(folder, hidden_size=96.5)


@case()
def config_size_is_text(folder):
    set_config(folder, hidden_size="96")


@case()
def config_size_overflows(folder):
    edit_json(folder / "config.json",
              lambda c: json.dumps(c).replace('"hidden_size": 96', '"hidden_size": 1e400'))


@case()
def config_heads_do_not_divide(folder):
    set_config(folder, num_attention_heads=5)


@case()
def config_kv_heads_do_not_divide(folder):
    set_config(folder, num_key_value_heads=4)


@case()
def config_unknown_family(folder):
    set_config(folder, model_type="mamba", architectures=["MambaForCausalLM"])


@case()
def config_no_family(folder):
    def change(config):
        del config["model_type"], config["architectures"]
    edit_json(folder / "config.json", change)


@case()
def config_missing_key(folder):
    def change(config):
        del config["hidden_size"]
    edit_json(folder / "config.json", change)


@case(source=V3)
def config_more_experts_than_there_are(folder):
    set_config(folder, num_experts_per_tok=17)


@case(source=V3)
def config_groups_do_not_divide(folder):
    set_config(folder, n_group=3)


@case(source=V3)
def config_unknown_scoring(folder):
    set_config(folder, scoring_func="tanh")


@case(source=V3)
def config_unknown_rope(folder):
    set_config(folder, rope_scaling={"type": "magic", "factor": 2})


@case(source=V3)
def config_rope_factor_zero(folder):
    set_config(folder, rope_scaling={"type": "yarn", "factor": 0,
                                     "original_max_position_embeddings": 64})


@case(source=FP8)
def config_other_quantisation(folder):
    set_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})


@case(source=FP8)
def config_other_blocks(folder):
    set_config(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [64, 64]})


# Weights against the config -----------------------------------------------------------------------

@case("greedy")
def weights_vocabulary_mismatch(folder):
    set_config(folder, vocab_size=321)


@case("greedy")
def weights_hidden_size_mismatch(folder):
    set_config(folder, hidden_size=192, num_attention_heads=6)


@case("greedy")
def weights_layer_missing(folder):
    set_config(folder, num_hidden_layers=4)


@case("greedy")
def weights_tensor_missing(folder):
    without_tensor(folder, "layers.1.mlp.up_proj.weight")


@case("greedy")
def weights_transposed(folder):
    transposed(folder, "layers.0.mlp.up_proj.weight")


@case("greedy")
def weights_of_integers(folder):
    edit_header(folder, lambda h: h["model.layers.0.mlp.up_proj.weight"].update(dtype="I16"))


@case("greedy", V3)
def weights_expert_missing(folder):
    without_tensor(folder, "layers.1.mlp.experts.7.up_proj.weight")


@case("greedy", V3)
def weights_bias_of_wrong_length(folder):
    def change(header):
        bias = header["model.layers.1.mlp.gate.e_score_correction_bias"]
        bias.update(dtype="BF16", shape=[32])  # the same 64 bytes
    edit_header(folder, change)


@case("greedy", SEED)
def tokenizer_larger_than_the_embedding(folder):
    set_config(folder, vocab_size=2)


# safetensors --------------------------------------------------------------------------------------

@case()
def safetensors_empty(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(b"")


@case("greedy")  # inspect is content with a bare config.json
def safetensors_missing(folder):
    (folder / "model.safetensors").unlink()


@case()
def safetensors_cut(folder):
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw[:-100])


@case()
def safetensors_header_cut(folder):
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw[:1000])


@case()
def safetensors_longer(folder):
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw + b"x")


@case()
def safetensors_huge_header_length(folder):
    patch(folder / "model.safetensors", 0, struct.pack("<Q", 2**64 - 1))


@case()
def safetensors_header_is_garbage(folder):
    patch(folder / "model.safetensors", 8, bytes(range(128, 228)))


@case()
def safetensors_header_holds_nan(folder):
    edit_entry(folder, shape=[float("nan")])


@case()
def safetensors_overlap(folder):
    def change(header):
        names = [k for k in header if k != "__metadata__"]
        header[names[1]] = dict(header[names[0]])
    edit_header(folder, change)


@case()
def safetensors_tensor_twice(folder):
    def change(header):
        name = next(k for k in header if k != "__metadata__")
        again = json.dumps({name: header[name]})[1:]
        return (json.dumps(header)[:-1] + "," + again).encode()
    edit_header(folder, change)


@case()
def safetensors_rank_100(folder):
    edit_entry(folder, shape=[1] * 100)


@case()
def safetensors_dims_overflow(folder):
    edit_entry(folder, shape=[2**33, 2**33])


@case()
def safetensors_dim_negative(folder):
    edit_entry(folder, shape=[-1])


@case()
def safetensors_offset_huge(folder):
    edit_entry(folder, data_offsets=[0, 2**63])


@case()
def safetensors_unknown_dtype(folder):
    edit_entry(folder, dtype="F4")


@case()
def safetensors_name_with_escapes(folder):
    edit_header(folder, lambda h: h.update({"\n\x1b[31mevil\n": 1}))


@case(source=SHARDED)
def shard_missing(folder):
    (folder / "model-00002-of-00003.safetensors").unlink()


@case(source=SHARDED)
def shard_outside(folder):
    def change(index):
        index["weight_map"]["lm_head.weight"] = "../../../../etc/passwd"
    edit_json(folder / "model.safetensors.index.json", change)


@case(source=SHARDED)
def shard_without_its_tensor(folder):
    def change(index):
        index["weight_map"]["lm_head.weight"] = "model-00003-of-00003.safetensors"
    edit_json(folder / "model.safetensors.index.json", change)


@case(source=SHARDED)
def shard_twice(folder):
    shutil.copy(folder / "model-00001-of-00003.safetensors", folder / "again.safetensors")
    edit_json(folder / "model.safetensors.index.json",
              lambda i: i["weight_map"].update({"lm_head.weight": "again.safetensors"}))


@case(source=SHARDED)
def index_cut(folder):
    edit_json(folder / "model.safetensors.index.json", lambda i: json.dumps(i)[:500])


@case(source=SHARDED)
def index_of_numbers(folder):
    edit_json(folder / "model.safetensors.index.json", lambda i: i.update(weight_map=[1, 2]))


@case(source=FP8)
def scales_of_wrong_shape(folder):
    transposed_name = "model-00001-of-00002.safetensors"
    def change(header):
        name = next(k for k in header if k.endswith("_scale_inv") and header[k]["shape"][0]
                    != header[k]["shape"][1])
        header[name]["shape"].reverse()
    edit_header(folder, change, transposed_name)


@case(source=FP8)
def scales_missing(folder):
    name = "model-00001-of-00002.safetensors"
    header, _ = read_safetensors(folder / name)
    gone = next(k for k in header if k.endswith("_scale_inv"))
    without_tensor(folder, gone, name)
    edit_json(folder / "model.safetensors.index.json", lambda i: i["weight_map"].pop(gone) and None)


# Tokenizer ----------------------------------------------------------------------------------------

@case("run", SEED)
def tokenizer_missing(folder):
    (folder / "tokenizer.json").unlink()


@case("run", SEED)
def tokenizer_cut(folder):
    edit_json(folder / "tokenizer.json", lambda t: json.dumps(t)[:5000])


@case("run", SEED)
def tokenizer_of_another_kind(folder):
    edit_json(folder / "tokenizer.json", lambda t: t["model"].update(type="Unigram"))


@case("run", SEED)
def tokenizer_vocabulary_is_a_list(folder):
    edit_json(folder / "tokenizer.json", lambda t: t["model"].update(vocab=[1, 2, 3]))


@case("run", SEED)
def tokenizer_ids_negative(folder):
    def change(tokenizer):
        vocab = tokenizer["model"]["vocab"]
        vocab[next(iter(vocab))] = -1
    edit_json(folder / "tokenizer.json", change)


# GGUF ---------------------------------------------------------------------------------------------

@case(source=GGUF)
def gguf_magic(path):
    patch(path, 0, b"GGML")


@case(source=GGUF)
def gguf_version_1(path):
    patch(path, 4, struct.pack("<I", 1))


@case(source=GGUF)
def gguf_big_endian(path):
    patch(path, 4, struct.pack(">I", 3))


@case(source=GGUF)
def gguf_huge_tensor_count(path):
    patch(path, 8, struct.pack("<Q", 2**60))


@case(source=GGUF)
def gguf_huge_key_count(path):
    patch(path, 16, struct.pack("<Q", 2**64 - 1))


@case(source=GGUF)
def gguf_huge_key_length(path):
    patch(path, 24, struct.pack("<Q", 2**63))


@case(source=GGUF)
def gguf_huge_array(path):
    patch_after(path, b"tokenizer.ggml.tokens", 8, struct.pack("<Q", 2**61))


@case(source=GGUF)
def gguf_nested_array(path):
    patch_after(path, b"tokenizer.ggml.tokens", 4, struct.pack("<I", 9))


@case(source=GGUF)
def gguf_unknown_value_type(path):
    patch_after(path, b"general.name", 0, struct.pack("<I", 77))


@case(source=GGUF)
def gguf_unknown_tensor_type(path):
    patch_after(path, b"token_embd.weight", 4 + 16, struct.pack("<I", 99))


@case(source=GGUF)
def gguf_rank_5(path):
    patch_after(path, b"token_embd.weight", 0, struct.pack("<I", 5))


@case(source=GGUF)
def gguf_dims_overflow(path):
    patch_after(path, b"token_embd.weight", 4, struct.pack("<QQ", 2**40, 2**40))


@case(source=GGUF)
def gguf_offset_beyond_the_end(path):
    patch_after(path, b"output_norm.weight", 4 + 8 + 4, struct.pack("<Q", 2**40))


@case(source=GGUF)
def gguf_offset_unaligned(path):
    patch_after(path, b"output_norm.weight", 4 + 8 + 4, struct.pack("<Q", 61441))


@case(source=GGUF)
def gguf_overlap(path):
    patch_after(path, b"output_norm.weight", 4 + 8 + 4, struct.pack("<Q", 0))


@case(source=GGUF)
def gguf_tensor_twice(path):
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"blk.1.attn_k.bias", b"blk.1.attn_q.bias"))


@case(source=GGUF)
def gguf_cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


@case(source=GGUF)
def gguf_header_cut(path):
    path.write_bytes(path.read_bytes()[:2000])


@case(source=GGUF)
def gguf_unknown_architecture(path):
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"qwen2", b"qwan2"))


@case("greedy", GGUF)
def gguf_layer_missing(path):
    patch_after(path, b"qwen2.block_count", 4, struct.pack("<I", 4))


@case("greedy", GGUF)
def gguf_zero_heads(path):
    patch_after(path, b"qwen2.attention.head_count", 4, struct.pack("<I", 0))


@case("greedy", GGUF)
def gguf_embedding_length_huge(path):
    patch_after(path, b"qwen2.embedding_length", 4, struct.pack("<I", 2**31))


@case("run", GGUF)
def gguf_unknown_tokenizer(path):
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"\x04\0\0\0\0\0\0\0gpt2", b"\x04\0\0\0\0\0\0\0gpt9"))


@case(source=GGUF_SPLIT)
def split_part_missing(folder):
    (folder / "qwen2-split-00002-of-00002.gguf").unlink()
    return folder / "qwen2-split-00001-of-00002.gguf"


@case(source=GGUF_SPLIT)
def split_part_renamed(folder):
    (folder / "qwen2-split-00001-of-00002.gguf").rename(folder / "x.gguf")
    return folder / "x.gguf"


@case(source=GGUF_SPLIT)
def split_part_repeated(folder):
    shutil.copy(folder / "qwen2-split-00001-of-00002.gguf",
                folder / "qwen2-split-00002-of-00002.gguf")
    return folder / "qwen2-split-00001-of-00002.gguf"


# Packs --------------------------------------------------------------------------------------------

def edit_pack(folder, change):
    edit_json(folder / "pack.json", change)


@case(source=PACK)
def pack_truncated_experts(folder):
    os.truncate(folder / "experts-00000.bin", 5000)


@case(source=PACK)
def pack_missing_file(folder):
    (folder / "dense.bin").unlink()


@case(source=PACK)
def pack_directory_instead_of_file(folder):
    (folder / "dense.bin").unlink()
    (folder / "dense.bin").mkdir()


@case(source=PACK)
def pack_fifo_instead_of_file(folder):
    (folder / "dense.bin").unlink()
    os.mkfifo(folder / "dense.bin")


@case(source=PACK)
def pack_unfinished(folder):
    (folder / "pack.json").rename(folder / "pack.partial")


@case(source=PACK)
def pack_json_cut(folder):
    os.truncate(folder / "pack.json", 700)


@case(source=PACK)
def pack_of_a_later_version(folder):
    edit_pack(folder, lambda p: p.update(nereus_pack=1))


@case(source=PACK)
def pack_unknown_format(folder):
    edit_pack(folder, lambda p: p["blobs"][4]["tensors"][0].update(format="q3"))


@case(source=PACK)
def pack_overlapping_blobs(folder):
    edit_pack(folder, lambda p: p["blobs"][4].update(offset=p["blobs"][3]["offset"]))


@case(source=PACK)
def pack_huge_shape(folder):
    edit_pack(folder, lambda p: p["blobs"][4]["tensors"][0].update(shape=[1 << 40, 1 << 40]))


@case(source=PACK)
def pack_million_levels(folder):
    edit_pack(folder, lambda p: "[" * 1_000_000)


@case(source=PACK)
def pack_file_outside_its_folder(folder):
    edit_pack(folder, lambda p: p["files"][0].update(name="../../etc/passwd"))


@case("greedy", source=PACK)
def pack_without_a_tensor(folder):
    edit_pack(folder, lambda p: p["blobs"].pop(4) and None)


@case("greedy", source=PACK)
def pack_shape_of_another_model(folder):
    set_config(folder, hidden_size=80)


@case("greedy", source=PACK)
def pack_published_kv_b_in_panels(folder):
    """kv_b of the right shape, but panels have no transposed product."""
    def change(pack):
        for blob in pack["blobs"]:
            for tensor in blob["tensors"]:
                if tensor["name"].endswith("experts.3.down_proj.weight"):
                    tensor["name"] = "model.layers.0.self_attn.kv_b_proj.weight"
    edit_pack(folder, change)


@case("verify", source=PACK)
def pack_one_bit_changed(folder):
    patch(folder / "experts-00000.bin", 4096 + 100, b"\x55\x01")


@case("verify", source=PACK)
def pack_verify_of_a_folder(folder):
    for path in folder.iterdir():
        if path.name != "config.json":
            path.unlink()


# Making and running -------------------------------------------------------------------------------

COPIED = {".json", ".safetensors", ".bin"}


def copy_source(source, folder):
    """A folder's model files (golden outputs left out), or one GGUF."""
    folder.mkdir(parents=True)
    if source is None:
        return folder
    if source.is_file():
        shutil.copy(source, folder / "model.gguf")
        return folder / "model.gguf"
    for path in sorted(source.iterdir()):
        split = source == GGUF_SPLIT and "split" in path.name
        model = path.suffix in COPIED and path.stem not in ("hidden", "golden")
        if split or model:
            if path.stat().st_size > 2_000_000:
                (folder / path.name).symlink_to(path)  # the seed's weights: never changed here
            else:
                shutil.copy(path, folder / path.name)
    return folder


def arguments(command, model, tokens):
    return {"inspect": ["inspect", str(model)],
            "greedy": ["eval", "greedy", str(model), "--tokens", str(tokens), "-n", "1"],
            "verify": ["pack", str(model), "--verify"],
            "run": ["run", str(model), "hi"]}[command]


def make(out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    tokens = out / "tokens.json"
    tokens.write_text("[5, 6, 7]")
    cases = []
    for name, (spoil, command, source) in CASES.items():
        model = copy_source(source, out / name)
        opened = spoil(model) or model
        cases.append({"name": name, "command": arguments(command, opened, tokens)})
    (out / "cases.json").write_text(json.dumps(cases, indent=1))
    return cases


def run(binary, command):
    """Exit code, stdout, stderr, seconds, peak kilobytes."""
    start = time.monotonic()
    process = subprocess.Popen([binary, *command, "--threads", "1"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out, err, time.monotonic() - start


def complaints(code, out, err, seconds, slow):
    """What is wrong with one answer."""
    text = err.decode(errors="replace")
    found = [] if code == 2 else [f"exit code {code}"]
    found += [] if out == b"" else [f"stdout {out[:80]}"]
    found += [] if text.count("\n") == 1 and text.endswith("\n") else [f"stderr {text[:400]!r}"]
    found += [] if not any(ord(c) < 32 and c != "\n" for c in text) else ["control characters"]
    return found + ([f"{seconds:.1f} s"] if seconds > SECONDS_MAX * slow else [])


def check(binary, cases, slow):
    import resource
    failures = 0
    for entry in cases:
        code, out, err, seconds = run(binary, entry["command"])
        found = complaints(code, out, err, seconds, slow)
        failures += bool(found)
        verdict = "FAILED: " + "; ".join(found) if found else err.decode().strip()
        print(f"{entry['name']}: {verdict}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if peak > KILOBYTES_MAX * slow:
        failures += 1
        print(f"peak memory {peak} kB is over {KILOBYTES_MAX}")
    print(f"{len(cases) - failures} of {len(cases)} as promised; peak {peak} kB")
    return 0 if failures == 0 else 1


def main():
    if len(sys.argv) not in (2, 4) or (len(sys.argv) == 4 and sys.argv[2] != "--check"):
        sys.exit(__doc__)
    cases = make(pathlib.Path(sys.argv[1]).resolve())
    if len(sys.argv) == 2:
        print(f"{len(cases)} cases")
        return 0
    # Sanitizers make everything slower and larger: NEREUS_SLOW=10 widens both bounds.
    return check(sys.argv[3], cases, float(os.environ.get("NEREUS_SLOW", "1")))


if __name__ == "__main__":
    sys.exit(main())
