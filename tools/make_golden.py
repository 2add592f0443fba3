#!/usr/bin/env python3
"""Makes a tiny random model in the published layout together with the reference's outputs.

usage: make_golden.py CONFIG.json OUT [--seed N] [--tokens N] [--shards N] [--fp8] [--scales-bf16]

The reference is Hugging Face transformers in float32 with eager attention (needs torch,
transformers, safetensors, numpy from PyPI). Weights are N(0, 1.2 / sqrt(fan_in)) rounded to BF16,
norms 1 + 0.1 N(0, 1) and correction biases 0.1 N(0, 1), so that an error in any part shows in the
logits. --fp8 stores every projection as F8_E4M3 with one float scale a 128 x 128 block.
tests/golden/README.md says what is written.
"""
import argparse
import json
import math
import pathlib
import shutil
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

BLOCK = 128


def attention_shapes(c):
    d, heads = c["hidden_size"], c["num_attention_heads"]
    if "kv_lora_rank" not in c:
        dim = c.get("head_dim") or d // heads
        kv = c["num_key_value_heads"]
        shapes = {"q_proj.weight": (heads * dim, d), "k_proj.weight": (kv * dim, d),
                  "v_proj.weight": (kv * dim, d), "o_proj.weight": (d, heads * dim)}
        if c["model_type"] == "qwen2":
            shapes |= {"q_proj.bias": (heads * dim,), "k_proj.bias": (kv * dim,),
                       "v_proj.bias": (kv * dim,)}
        return shapes
    nope, rope, v = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    latent, q_rank = c["kv_lora_rank"], c.get("q_lora_rank")
    shapes = {"kv_a_proj_with_mqa.weight": (latent + rope, d), "kv_a_layernorm.weight": (latent,),
              "kv_b_proj.weight": (heads * (nope + v), latent), "o_proj.weight": (d, heads * v)}
    if q_rank:
        shapes |= {"q_a_proj.weight": (q_rank, d), "q_a_layernorm.weight": (q_rank,),
                   "q_b_proj.weight": (heads * (nope + rope), q_rank)}
    else:
        shapes["q_proj.weight"] = (heads * (nope + rope), d)
    return shapes


def mlp_shapes(prefix, d, inner):
    return {f"{prefix}gate_proj.weight": (inner, d), f"{prefix}up_proj.weight": (inner, d),
            f"{prefix}down_proj.weight": (d, inner)}


def layer_shapes(c, layer):
    d = c["hidden_size"]
    shapes = {"input_layernorm.weight": (d,), "post_attention_layernorm.weight": (d,)}
    shapes |= {f"self_attn.{k}": s for k, s in attention_shapes(c).items()}
    experts = c.get("n_routed_experts")
    if not experts or layer < c.get("first_k_dense_replace", 0):
        return shapes | mlp_shapes("mlp.", d, c["intermediate_size"])
    inner = c["moe_intermediate_size"]
    shapes["mlp.gate.weight"] = (experts, d)
    if c["model_type"] == "deepseek_v3":
        shapes["mlp.gate.e_score_correction_bias"] = (experts,)
    for e in range(experts):
        shapes |= mlp_shapes(f"mlp.experts.{e}.", d, inner)
    if c.get("n_shared_experts"):
        shapes |= mlp_shapes("mlp.shared_experts.", d, inner * c["n_shared_experts"])
    return shapes


def all_shapes(c):
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], c["hidden_size"])}
    for layer in range(c["num_hidden_layers"]):
        shapes |= {f"model.layers.{layer}.{k}": s for k, s in layer_shapes(c, layer).items()}
    shapes["model.norm.weight"] = (c["hidden_size"],)
    if not c.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (c["vocab_size"], c["hidden_size"])
    return shapes


def random_tensor(name, shape, rng):
    noise = rng.standard_normal(shape)
    if name.endswith("norm.weight"):
        return torch.tensor(1 + 0.1 * noise).bfloat16()
    if name.endswith("e_score_correction_bias"):
        return torch.tensor(0.1 * noise).float()
    if name.endswith(".bias"):
        return torch.tensor(0.1 * noise).bfloat16()
    return torch.tensor(noise * (1.2 / math.sqrt(shape[-1]))).bfloat16()


def to_fp8(weight, scale_dtype):
    """The weight as e4m3 with a scale a block, and what it decodes to."""
    w = weight.float()
    rows, cols = w.shape
    grid = (-(-rows // BLOCK), -(-cols // BLOCK))
    scales = torch.zeros(grid)
    q = torch.zeros_like(w, dtype=torch.float8_e4m3fn)
    decoded = torch.zeros_like(w)
    for i in range(grid[0]):
        for j in range(grid[1]):
            at = (slice(i * BLOCK, (i + 1) * BLOCK), slice(j * BLOCK, (j + 1) * BLOCK))
            scales[i, j] = (w[at].abs().max() / 448).to(scale_dtype).float()
            q[at] = (w[at] / scales[i, j]).to(torch.float8_e4m3fn)
            decoded[at] = q[at].float() * scales[i, j]
    return q, scales.to(scale_dtype), decoded


def quantised(tensors, scale_dtype):
    stored, decoded = {}, {}
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and "_proj" in name:
            q, scales, values = to_fp8(tensor, scale_dtype)
            stored |= {name: q, f"{name}_scale_inv": scales}
            decoded[name] = values
        else:
            stored[name], decoded[name] = tensor, tensor
    return stored, decoded


def write_shards(tensors, folder, n_shards):
    if n_shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return
    names = list(tensors)
    index = {}
    for i in range(n_shards):
        part = f"model-{i + 1:05d}-of-{n_shards:05d}.safetensors"
        mine = names[i * len(names) // n_shards:(i + 1) * len(names) // n_shards]
        save_file({n: tensors[n] for n in mine}, folder / part)
        index |= {n: part for n in mine}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index}))


def reference_model(config, tensors, dtype):
    """transformers' model with these weights (written and loaded: it knows its own layout)."""
    plain = {k: v for k, v in config.items() if k != "quantization_config"}
    with tempfile.TemporaryDirectory() as folder:
        save_file({k: v.float().contiguous() for k, v in tensors.items()},
                  f"{folder}/model.safetensors")
        pathlib.Path(folder, "config.json").write_text(json.dumps(plain))
        return transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, attn_implementation="eager",
            experts_implementation="eager").eval()


@torch.no_grad()
def run_reference(model, tokens):
    out = model(torch.tensor([tokens]), output_hidden_states=True, use_cache=False)
    hidden = torch.stack([h[0] for h in out.hidden_states])
    return out.logits[0], hidden


@torch.no_grad()
def run_greedy(model, tokens, n):
    tokens, picked, gap = list(tokens), [], math.inf
    for _ in range(n):
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
        best = torch.topk(logits, 2).values
        gap = min(gap, float(best[0] - best[1]))
        picked.append(int(logits.argmax()))
        tokens.append(picked[-1])
    return picked, gap


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--fp8", action="store_true")
    parser.add_argument("--scales-bf16", action="store_true")
    args = parser.parse_args()

    config = json.loads(args.config.read_text())
    rng = np.random.default_rng(args.seed)
    tensors = {n: random_tensor(n, s, rng) for n, s in all_shapes(config).items()}
    stored, decoded = tensors, tensors
    if args.fp8:
        stored, decoded = quantised(tensors, torch.bfloat16 if args.scales_bf16 else torch.float32)
        config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3",
                                         "activation_scheme": "dynamic",
                                         "weight_block_size": [BLOCK, BLOCK]}
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    (args.out / "config.json").write_text(json.dumps(config, indent=1))
    write_shards(stored, args.out, args.shards)

    tokens = [0] + [int(t) for t in rng.integers(2, config["vocab_size"], args.tokens - 1)]
    model = reference_model(config, decoded, torch.float32)
    logits, hidden = run_reference(model, tokens)
    greedy, gap = run_greedy(model, tokens, 32)
    exact, _ = run_reference(reference_model(config, decoded, torch.float64), tokens)
    std = float(logits.std())
    logits.numpy().astype("<f4").tofile(args.out / "logits.f32")
    save_file({"hidden": hidden.contiguous()}, args.out / "hidden.safetensors")
    (args.out / "golden.json").write_text(json.dumps({
        "family": config["model_type"], "tokens": tokens, "greedy": greedy, "greedy_gap_min": gap,
        "f32_vs_f64_max_error_over_std": float((logits.double() - exact).abs().max()) / std,
        "logits_std": std, "logits_shape": list(logits.shape), "seed": args.seed,
        "reference": f"transformers {transformers.__version__}, torch {torch.__version__}, "
                     "float32, eager attention"}))


if __name__ == "__main__":
    main()
