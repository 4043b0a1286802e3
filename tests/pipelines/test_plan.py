from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan import ITEM_COST, plan_batches

_ROWS = st.lists(
    st.tuples(st.tuples(st.sampled_from(["v01", "v02"]), st.one_of(st.none(), st.integers(0, 20))), st.integers(0, 10 * ITEM_COST))
).map(lambda rows: sorted(rows, key=lambda row: (row[0][0], row[0][1] is not None, row[0][1] or 0)))
_COST = st.integers(1, 100 * ITEM_COST)


@given(_ROWS, _COST)
def test_every_row_is_in_exactly_one_batch_in_order(rows: list[tuple[tuple[str, int | None], int]], cost: int) -> None:
    batches = list(plan_batches(rows, batch_cost=cost))
    assert [n for batch in batches for n in range(batch.first, batch.last)] == list(range(len(rows)))
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert all(batch.first < batch.last for batch in batches)


@given(_ROWS, _COST)
def test_the_names_of_one_file_are_never_parted(rows: list[tuple[tuple[str, int | None], int]], cost: int) -> None:
    """Hard links stand side by side, so that their content is read once."""
    place = {n: batch.number for batch in plan_batches(rows, batch_cost=cost) for n in range(batch.first, batch.last)}
    for _, group in groupby(range(len(rows)), key=lambda n: rows[n][0]):
        assert len({place[n] for n in group}) == 1


@given(_ROWS, _COST)
def test_costs_add_up_and_a_batch_goes_over_only_by_one_file(rows: list[tuple[tuple[str, int | None], int]], cost: int) -> None:
    batches = list(plan_batches(rows, batch_cost=cost))
    assert sum(batch.cost for batch in batches) == sum(size + ITEM_COST for _, size in rows)
    for batch in batches[:-1]:
        assert batch.cost >= cost


def test_no_rows_make_no_batch() -> None:
    assert list(plan_batches([])) == []
