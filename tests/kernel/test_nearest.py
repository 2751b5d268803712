"""What was probably meant."""

from muster.kernel.nearest import nearest


def test_the_nearest_name() -> None:
    assert nearest("writr", ["reader", "writer"]) == "writer"
    assert nearest("WRITER", {"Writer", "writer"}) == "writer"
    assert nearest("writer", ["writer"]) is None
    assert nearest("abc", ["xyz"]) is None
    assert nearest("writr", ["writer"], cutoff=0.95) is None
    assert nearest("x" * 101, ["x" * 100]) is None
    assert nearest("anything", []) is None
