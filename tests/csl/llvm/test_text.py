"""Reading LLVM's text.

Covers: wse/csl/llvm/text.py
"""

import pytest

from wse.csl.llvm.text import parse, split, typed

TEXT = """; ModuleID = '<string>'
@g.0 = external local_unnamed_addr global [6 x i8], align 2

declare void @op.0() local_unnamed_addr #0

define internal fastcc noundef range(i16 0, 9) i16 @f.3(i16 noundef %0, ptr captures(none) %p.1) unnamed_addr #1 !dbg !3 {
  %2 = add nuw nsw i16 %0, -3, !dbg !6
  br label %"odd name", !dbg !7

"odd name":                                       ; preds = %1
  %3 = phi i16 [ 0, %1 ], [ %2, %"odd name" ]
  store volatile i16 %3, ptr inttoptr (i16 32580 to ptr), align 2
  %4 = load float, ptr getelementptr inbounds nuw (i8, ptr @g.0, i16 4), align 2, !tbaa !9
  %5 = tail call fastcc noundef i16 @f.4(i16 range(i16 1, 3) %3, ptr nonnull align 2 @g.0) #2, !dbg !8
  %6 = icmp samesign ult i16 %5, 7
  switch i16 %3, label %b [
    i16 -1, label %"odd name"
    i16 4, label %b
  ], !dbg !6
    #dbg_value(i16 0, !1, !DIExpression(), !2)

b:
  ret i16 %5
}

!6 = !DILocation(line: 17, scope: !3)
!7 = distinct !DILocation(line: 4, column: 2, scope: !3, inlinedAt: !6)
!8 = !DILocation(line: 0, scope: !3)
"""


def test_a_function():
    (function,) = parse(TEXT)
    assert (function.name, function.result) == ("f.3", "i16")
    assert function.params == [("i16", "%0"), ("ptr", "%p.1")]
    assert [block.name for block in function.blocks] == ["%1", '%"odd name"', "%b"]
    first, second, last = (block.code for block in function.blocks)
    assert (first[0].op, first[0].name, first[0].args, first[0].line) == ("add", "%2", ["%0", "-3"], 17)
    assert (first[1].args, first[1].line) == (['%"odd name"'], 4)
    phi, store, load, call, compare, switch = second
    assert phi.args == ["0", "%1", "%2", '%"odd name"']
    assert (store.type, store.args, store.volatile) == ("i16", ["%3", "inttoptr (i16 32580 to ptr)"], True)
    assert (load.type, load.args) == ("float", ["getelementptr inbounds nuw (i8, ptr @g.0, i16 4)"])
    assert (call.detail, call.args, call.types, call.line) == ("f.4", ["%3", "@g.0"], ["i16", "ptr"], 0)
    assert (compare.detail, compare.type, compare.args) == ("ult", "i16", ["%5", "7"])
    assert switch.args == ["%3", "%b", "-1", '%"odd name"', "4", "%b"]
    assert (last[0].op, last[0].args) == ("ret", ["%5"])


@pytest.mark.parametrize(
    "text, parts",
    [("a, b", ["a", "b"]), ("f(a, b), [c, d]", ["f(a, b)", "[c, d]"]), ("", []), ("{ i8, i1 } %x", ["{ i8, i1 } %x"])],
)
def test_parts(text, parts):
    assert split(text) == parts


@pytest.mark.parametrize(
    "text, type, value",
    [
        ("i16 %x", "i16", "%x"),
        ("i16 noundef range(i16 0, 5) %x", "i16", "%x"),
        ("ptr align 2 dereferenceable(4) @g.1", "ptr", "@g.1"),
        ("{ i16, i1 } %y", "{ i16, i1 }", "%y"),
        ("i1 true", "i1", "true"),
        ("ptr getelementptr (i8, ptr @g.0, i16 2)", "ptr", "getelementptr (i8, ptr @g.0, i16 2)"),
        ("float -0.000000e+00", "float", "-0.000000e+00"),
    ],
)
def test_operands(text, type, value):
    assert typed(text) == (type, value)
