#!/usr/bin/env python3
"""Writes the GGUF test models of tests/data/gguf from the reference models of tests/golden.

    python3 -m venv venv && venv/bin/pip install gguf numpy
    venv/bin/python tools/make_gguf.py [OUT]          (default tests/data/gguf)

Keys, tensor names and transforms follow llama.cpp's converter, so that a file read rightly gives
the logits of tests/golden/*/logits.f32: matrices stay BF16 (exact), vectors and routers are F32.
  *-mla.gguf     attn_k_b (transposed per head) and attn_v_b, head_count_kv 1: files since 2025
  *-legacy.gguf  attn_kv_b, head_count_kv = head_count: files before that, and ik_llama.cpp's
The vocabulary is trivial: two control tokens, 256 bytes, one merge, padding.
"""

import json
import math
import pathlib
import struct
import sys

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent


def load_golden(name):
    """The config and {tensor: uint16 (BF16 bits) or float32 array} of a reference model."""
    folder = ROOT / "tests" / "golden" / name
    tensors = {}
    for path in sorted(folder.glob("model*.safetensors")):
        raw = path.read_bytes()
        (length,) = struct.unpack_from("<Q", raw)
        for key, entry in json.loads(raw[8 : 8 + length]).items():
            if key == "__metadata__":
                continue
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            kind = {"BF16": np.uint16, "F32": np.float32}[entry["dtype"]]
            tensors[key] = np.frombuffer(raw[begin:end], kind).reshape(entry["shape"])
    return json.loads((folder / "config.json").read_text()), tensors


def as_f32(array):
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


class Model:
    """One GGUF being written."""

    def __init__(self, out, arch, config, split=0):
        self.config = config
        self.writer = gguf.GGUFWriter(out, arch, split_max_tensors=split)
        self.out = out

    def matrix(self, name, array):
        bits = np.ascontiguousarray(array)
        self.writer.add_tensor(name, bits.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)

    def vector(self, name, array):
        self.writer.add_tensor(name, np.ascontiguousarray(as_f32(array)))

    def common_keys(self, heads_kv):
        c, w = self.config, self.writer
        w.add_name("reference model")
        w.add_block_count(c["num_hidden_layers"])
        w.add_context_length(c["max_position_embeddings"])
        w.add_embedding_length(c["hidden_size"])
        w.add_feed_forward_length(c["intermediate_size"])
        w.add_head_count(c["num_attention_heads"])
        w.add_head_count_kv(heads_kv)
        w.add_rope_freq_base(c["rope_theta"])
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
        w.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)

    def vocabulary(self, pre):
        size = self.config["vocab_size"]
        visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
        rest = [b for b in range(256) if b not in visible]
        chars = {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(rest)}
        tokens = ["<s>", "</s>"] + [chars[b] for b in range(256)] + ["he"]
        kinds = [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * 257
        padding = range(len(tokens), size)
        tokens += [f"[PAD{i}]" for i in padding]
        kinds += [gguf.TokenType.UNUSED for _ in padding]
        w = self.writer
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre(pre)
        w.add_token_list(tokens)
        w.add_token_types(kinds)
        w.add_token_merges(["h e"])
        w.add_bos_token_id(0)
        w.add_eos_token_id(1)
        w.add_add_bos_token(True)

    def write(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        print(self.out)


def deepseek2_keys(model, legacy):
    c, w = model.config, model.writer
    heads = c["num_attention_heads"]
    model.common_keys(heads if legacy else 1)
    naive_key = c["qk_nope_head_dim"] + c["qk_rope_head_dim"]
    if c["q_lora_rank"] is not None:
        w.add_q_lora_rank(c["q_lora_rank"])
    w.add_kv_lora_rank(c["kv_lora_rank"])
    if legacy:
        w.add_key_length(naive_key)
        w.add_value_length(c["v_head_dim"])
    else:
        w.add_key_length(c["kv_lora_rank"] + c["qk_rope_head_dim"])
        w.add_value_length(c["kv_lora_rank"])
        w.add_key_length_mla(naive_key)
        w.add_value_length_mla(c["v_head_dim"])
    w.add_vocab_size(c["vocab_size"])
    w.add_leading_dense_block_count(c["first_k_dense_replace"])
    w.add_expert_count(c["n_routed_experts"])
    w.add_expert_used_count(c["num_experts_per_tok"])
    w.add_expert_shared_count(c["n_shared_experts"])
    w.add_expert_feed_forward_length(c["moe_intermediate_size"])
    w.add_expert_weights_scale(c["routed_scaling_factor"])
    if c["norm_topk_prob"]:
        w.add_expert_weights_norm(True)
    if c.get("scoring_func") == "sigmoid":  # absent means softmax
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    if c["n_group"] > 1:
        w.add_expert_group_count(c["n_group"])
        w.add_expert_group_used_count(c["topk_group"])
    w.add_rope_dimension_count(c["qk_rope_head_dim"])
    yarn = c["rope_scaling"]
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(yarn["factor"])
    w.add_rope_scaling_orig_ctx_len(yarn["original_max_position_embeddings"])
    w.add_rope_scaling_yarn_log_mul(0.1 * yarn["mscale_all_dim"])


def deepseek2_attention(model, tensors, source, blk, legacy):
    c = model.config
    if c["q_lora_rank"] is None:
        model.matrix(blk + "attn_q.weight", tensors[source + "q_proj.weight"])
    else:
        model.matrix(blk + "attn_q_a.weight", tensors[source + "q_a_proj.weight"])
        model.vector(blk + "attn_q_a_norm.weight", tensors[source + "q_a_layernorm.weight"])
        model.matrix(blk + "attn_q_b.weight", tensors[source + "q_b_proj.weight"])
    model.matrix(blk + "attn_kv_a_mqa.weight", tensors[source + "kv_a_proj_with_mqa.weight"])
    model.vector(blk + "attn_kv_a_norm.weight", tensors[source + "kv_a_layernorm.weight"])
    kv_b = tensors[source + "kv_b_proj.weight"]
    if legacy:
        model.matrix(blk + "attn_kv_b.weight", kv_b)
    else:
        nope, rank = c["qk_nope_head_dim"], c["kv_lora_rank"]
        per_head = kv_b.reshape(c["num_attention_heads"], nope + c["v_head_dim"], rank)
        model.matrix(blk + "attn_k_b.weight", per_head[:, :nope].transpose(0, 2, 1))
        model.matrix(blk + "attn_v_b.weight", per_head[:, nope:])
    model.matrix(blk + "attn_output.weight", tensors[source + "o_proj.weight"])


def deepseek2_ffn(model, tensors, layer, blk):
    c = model.config
    source = f"model.layers.{layer}.mlp."
    parts = ("gate", "up", "down")
    if layer < c["first_k_dense_replace"]:
        for part in parts:
            model.matrix(f"{blk}ffn_{part}.weight", tensors[f"{source}{part}_proj.weight"])
        return
    model.vector(blk + "ffn_gate_inp.weight", tensors[source + "gate.weight"])
    if source + "gate.e_score_correction_bias" in tensors:
        model.vector(blk + "exp_probs_b.bias", tensors[source + "gate.e_score_correction_bias"])
    for part in parts:
        names = [f"{source}experts.{e}.{part}_proj.weight" for e in range(c["n_routed_experts"])]
        model.matrix(f"{blk}ffn_{part}_exps.weight", np.stack([tensors[n] for n in names]))
        model.matrix(f"{blk}ffn_{part}_shexp.weight",
                     tensors[f"{source}shared_experts.{part}_proj.weight"])


def outer_tensors(model, tensors):
    model.matrix("token_embd.weight", tensors["model.embed_tokens.weight"])
    model.vector("output_norm.weight", tensors["model.norm.weight"])
    if "lm_head.weight" in tensors:
        model.matrix("output.weight", tensors["lm_head.weight"])


def make_deepseek2(out, golden, legacy, split=0):
    config, tensors = load_golden(golden)
    model = Model(out, "deepseek2", config, split)
    deepseek2_keys(model, legacy)
    model.vocabulary("deepseek-v3" if golden.startswith("v3") else "deepseek-llm")
    outer_tensors(model, tensors)
    for layer in range(config["num_hidden_layers"]):  # the MTP layer behind them is dropped
        source, blk = f"model.layers.{layer}.", f"blk.{layer}."
        model.vector(blk + "attn_norm.weight", tensors[source + "input_layernorm.weight"])
        deepseek2_attention(model, tensors, source + "self_attn.", blk, legacy)
        model.vector(blk + "ffn_norm.weight", tensors[source + "post_attention_layernorm.weight"])
        deepseek2_ffn(model, tensors, layer, blk)
    model.write()


def interleaved(array, n_heads):
    """Rows of each head from rotate-half order (all first, all second) to adjacent pairs."""
    per_head = array.reshape(n_heads, 2, array.shape[0] // n_heads // 2, *array.shape[1:])
    return per_head.swapaxes(1, 2).reshape(array.shape)


def llama3_factors(config):
    """By how much each frequency is divided: the content of rope_freqs.weight."""
    rope = config["rope_scaling"]
    dim = config["head_dim"]
    context = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    factors = []
    for i in range(0, dim, 2):
        wavelength = 2 * math.pi * config["rope_theta"] ** (i / dim)
        smooth = (context / wavelength - low) / (high - low)
        smooth = min(max(smooth, 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)


def make_dense(out, golden, arch, split=0):
    """qwen2 (rotate-half kept) and llama (q and k interleaved)."""
    config, tensors = load_golden(golden)
    heads, heads_kv = config["num_attention_heads"], config["num_key_value_heads"]
    model = Model(out, arch, config, split)
    model.common_keys(heads_kv)
    model.vocabulary({"qwen2": "qwen2", "llama": "llama-bpe"}[arch])
    outer_tensors(model, tensors)
    if arch == "llama":
        model.writer.add_vocab_size(config["vocab_size"])
        model.writer.add_rope_dimension_count(config["head_dim"])
        model.vector("rope_freqs.weight", llama3_factors(config))
    for layer in range(config["num_hidden_layers"]):
        source, blk = f"model.layers.{layer}.", f"blk.{layer}."
        model.vector(blk + "attn_norm.weight", tensors[source + "input_layernorm.weight"])
        for part, n_heads in (("q", heads), ("k", heads_kv), ("v", 0)):
            weight = tensors[f"{source}self_attn.{part}_proj.weight"]
            if arch == "llama" and n_heads:
                weight = interleaved(weight, n_heads)
            model.matrix(f"{blk}attn_{part}.weight", weight)
            bias = tensors.get(f"{source}self_attn.{part}_proj.bias")
            if bias is not None:
                model.vector(f"{blk}attn_{part}.bias", bias)
        model.matrix(blk + "attn_output.weight", tensors[source + "self_attn.o_proj.weight"])
        model.vector(blk + "ffn_norm.weight", tensors[source + "post_attention_layernorm.weight"])
        for part in ("gate", "up", "down"):
            model.matrix(f"{blk}ffn_{part}.weight", tensors[f"{source}mlp.{part}_proj.weight"])
    model.write()


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data" / "gguf"
    out.mkdir(parents=True, exist_ok=True)
    for golden in ("v2_lite", "v3"):
        make_deepseek2(out / f"{golden}-mla.gguf", golden, legacy=False)
        make_deepseek2(out / f"{golden}-legacy.gguf", golden, legacy=True)
    make_dense(out / "qwen2.gguf", "qwen2", "qwen2")
    make_dense(out / "llama3.gguf", "llama3", "llama")
    make_dense(out / "qwen2-split.gguf", "qwen2", "qwen2", split=20)


if __name__ == "__main__":
    main()
