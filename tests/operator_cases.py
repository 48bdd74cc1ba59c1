"""Tiny models of one layer, one for each operator or setting that public models have: what the table of
docs/transformers.md says of the two modes."""

from wse.models import load
from wse.models.dropout import Rates

_LLAMA = load("nano-llama").but(sequence=8, layers=1)
_GPT = load("nano-1").but(sequence=8)
_MOE = _LLAMA.but(experts=4, active_experts=2, d_ff=24, numerics=(("norm_topk_prob", True),))
_FACTORS = (("embedding times", 6.0), ("query_pre_attn_scalar", 5.0), ("logit_scale", 1.7))
_TRAINED = (("max_position_embeddings", 4),)


def _rope(kind, **values):
    return _LLAMA.but(rope_scaling=(("factor", 4.0), ("rope_type", kind), *sorted(values.items()), *_TRAINED))


BOTH = {
    "multi-head attention, learned positions, layer norm, GELU": _GPT,
    "grouped queries": _LLAMA.but(kv_heads=2),
    "multi-query attention": _LLAMA.but(kv_heads=1),
    "head of another size than d_model / heads": _LLAMA.but(d_head=12),
    "RMS norm, SwiGLU, rotary positions": _LLAMA,
    "GELU by the error function": _GPT.but(exact=True),
    "gated GELU (GeGLU)": _LLAMA.but(activation="gelu"),
    "ReLU": _GPT.but(activation="relu"),
    "gated ReLU": _LLAMA.but(activation="relu"),
    "square of ReLU": _GPT.but(activation="relu2"),
    "gated square of ReLU": _LLAMA.but(activation="relu2"),
    "rotary positions of a part of a head": _LLAMA.but(rotary=4),
    "rotary positions in a part of the layers": _LLAMA.but(layers=2, rotary_layers=(True, False)),
    "rotary positions, linear scaling": _rope("linear"),
    "rotary positions, dynamic scaling": _rope("dynamic"),
    "rotary positions, llama3 scaling": _rope("llama3"),
    "rotary positions, yarn scaling": _rope("yarn", beta_fast=4.0, beta_slow=1.0),
    "ALiBi": _GPT.but(positions="alibi"),
    "no positions": _GPT.but(positions="none"),
    "more rows of positions than tokens": _GPT.but(extra_positions=2),
    "sliding window": _LLAMA.but(windows=(3,)),
    "no causal mask": _GPT.but(causal=False),
    "norm of all queries and keys": _LLAMA.but(qk_norm="all"),
    "norm after the addition": _GPT.but(norm_at="after", final_norm=False),
    "norm before and after": _LLAMA.but(norm_at="both"),
    "norm of the output": _LLAMA.but(norm_at="output"),
    "attention and MLP in parallel, one norm": _GPT.but(parallel=True),
    "attention and MLP in parallel, two norms": _GPT.but(parallel=True, parallel_norms=2),
    "norm of the embedding": _GPT.but(embedding_norm=True),
    "embedding narrower than d_model": _GPT.but(d_embedding=16),
    "tied head": _LLAMA.but(tied=True),
    "head with a bias": _GPT.but(head_bias=True),
    "sinks": _LLAMA.but(sinks=True, kv_heads=2),
    "cap of scores": _LLAMA.but(numerics=(("attn_logit_softcapping", 0.3),)),
    "cap of logits": _GPT.but(numerics=(("final_logit_softcapping", 0.5),)),
    "factors of embedding, scores and logits": _LLAMA.but(numerics=_FACTORS),
    "scores by the number of the layer": _GPT.but(layers=2, numerics=(("scale_attn_by_inverse_layer_idx", True),)),
    "another base of rotary positions in layers with a window": _LLAMA.but(
        layers=2, windows=(3, 0), numerics=(("rope_local_base_freq", 10.0),)
    ),
    "mixture of experts": _MOE,
    "experts weighed by their shares of all": _MOE.but(numerics=(), active_experts=3),
    "experts beside a shared MLP, router with a bias": _MOE.but(
        d_shared=20, router_bias=True, active_experts=1, numerics=()
    ),
    "experts with biases": _MOE.but(expert_bias=True),
    "experts with biases, values cut at a limit": _MOE.but(
        expert_bias=True,
        router_bias=True,
        numerics=(("norm_topk_prob", True), ("swiglu_limit", 0.05), ("swiglu_alpha", 1.7)),
    ),
    "experts in a part of the layers": _MOE.but(layers=2, expert_layers=(False, True), d_expert=28),
}
STREAMING = {
    "norm of each head's queries and keys": _LLAMA.but(qk_norm="head", kv_heads=2),
    "latent attention": _LLAMA.but(kv_rank=16, d_rope=4, d_value=8, d_head=12),
    "latent attention, queries from a latent": _LLAMA.but(kv_rank=12, q_rank=20, d_rope=8, d_value=6, d_head=16),
}
# With the columns of the grid: more of them than heads of keys and values.
WIDE = {
    "grouped queries, a column for each head of queries": (_LLAMA.but(kv_heads=2), 4),
    "multi-query attention, four columns": (_GPT.but(kv_heads=1), 4),
    "the same with norms of each head": (_LLAMA.but(kv_heads=2, qk_norm="head"), 4),
    "the same with norms of all keys": (_LLAMA.but(kv_heads=2, qk_norm="all"), 4),
}
REFUSED = {
    "segments": (_GPT.but(token_types=2), "is of kind token_types"),
}
# Executed in streaming mode, of a graph in which operators drop.
DROPOUT = {"dropout": (_GPT, Rates(0.1, 0.2, 0.3))}
