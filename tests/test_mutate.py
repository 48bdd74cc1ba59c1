"""mutate.py: mutations are one changed token of code, and the same for a seed."""

import ast
from pathlib import Path

import mutate

ROOT = Path(__file__).resolve().parent.parent


def tokens(sites):
    return [token for _, _, token in sites]


def test_c_sites_are_code():
    text = '// a < b\n/* a\n == b */\n#define N 3\nint x = "a && b"[0] + 1 < y ? *p : -2;\nint *q = p->n;\n'
    assert tokens(mutate.c_sites(text)) == ["0", "+", "1", "<", "2"]
    assert mutate.c_sites(text)[1][0] == 5


def test_python_sites_are_code():
    text = '"""1 < 2"""\nx = a and -b  # 3 > 4\ny = a - 1\nf(*a)\n'
    assert tokens(mutate.python_sites(text)) == ["and", "-", "1"]


def test_mutations_of_a_seed_are_the_same():
    planned = mutate.chosen(5, 20)
    assert planned == mutate.chosen(5, 20) == mutate.chosen(5, 20, "c") + mutate.chosen(5, 20, "python")
    assert planned != mutate.chosen(6, 20)
    assert len(planned) == 20
    for mutation in planned:
        line = (ROOT / mutation.path).read_text().splitlines()[mutation.line - 1]
        assert line == mutation.before != mutation.after
        assert all(mutate.stages(mutation.path))
    assert all(mutation.path.startswith("csrc/") for mutation in planned[:10])


def test_python_mutations_still_parse():
    for mutation in mutate.chosen(7, 20, only="python"):
        lines = (ROOT / mutation.path).read_text().splitlines()
        lines[mutation.line - 1] = mutation.after
        ast.parse("\n".join(lines))
