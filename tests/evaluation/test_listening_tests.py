"""Results of listening tests over several listeners."""

import json

import pytest

from switchcodec_cli.errors import BadInputError
from switchcodec_cli.evaluation.listening_tests import FORMAT, combine_sessions, read_session


@pytest.fixture
def session(tmp_path):
    """Write and read a session."""

    def make(test, listener, trials, pair=None, changes=None):
        values = {
            "format": FORMAT, "test": test, "listener": listener, "seed": 1, "date": "2025-08-01T10:00:00Z",
            "report": {"weights": "12ab"}, "trials": trials, "pair": pair,
        }  # fmt: skip
        path = tmp_path / f"{test}-{listener}.json"
        path.write_text(json.dumps(values | (changes or {})))
        return read_session(path)

    return make


def ratings(item, reference=100, mid=60, codec=50):
    scores = {"reference": reference, "mid anchor": mid, "low anchor": 20, "codec": codec}
    return {"item": item, "ratings": scores}


def test_abx_trials_are_added_up(session):
    right, wrong = ({"item": "a", "x": "A", "answer": answer} for answer in "AB")
    sessions = [
        session("abx", "Ada", [right] * 9 + [wrong], ["original", "2.67 kbps"]),
        session("abx", "Bo", [right] * 5 + [wrong] * 5, ["original", "2.67 kbps"]),
        session("abx", "Cy", [right] * 4, ["original", "8 kbps"]),
    ]
    low, high = combine_sessions(sessions).abx
    assert (low.listeners, low.correct, low.trials) == (2, 14, 20)
    assert low.p_value == pytest.approx(0.0577, abs=1e-4)  # tables of the binomial distribution
    assert high.p_value == 1 / 16


def test_preferences_are_counted_without_ties(session):
    answers = ["new"] * 8 + ["old"] + ["none"] * 3
    trials = [{"item": "a", "answer": answer} for answer in answers]
    (result,) = combine_sessions([session("preference", "Ada", trials, ["old", "new"])]).preference
    assert (result.first, result.second, result.none) == (1, 8, 3)
    assert result.p_value == pytest.approx(20 / 512)
    swapped = session("preference", "Bo", [{"item": "a", "answer": "new"}], ["new", "old"])
    first = session("preference", "Ada", trials, ["old", "new"])
    (result,) = combine_sessions([first, swapped]).preference
    assert (result.pair, result.first, result.second) == (("old", "new"), 1, 9)


def test_mushra_scores_are_screened(session):
    items = [f"item {number}" for number in range(10)]
    sessions = [
        session("mushra", name, [ratings(item) for item in items]) for name in ("Ada", "Bo", "Cy", "Di")
    ]
    lax = [ratings(item, reference=89 if number < 2 else 95, codec=0) for number, item in enumerate(items)]
    sessions.append(session("mushra", "Eve", lax))
    deaf = [ratings(item, mid=95 if number < 2 else 60, codec=0) for number, item in enumerate(items)]
    sessions.append(session("mushra", "Flo", deaf))
    one = [ratings(item, reference=89 if number < 1 else 100) for number, item in enumerate(items)]
    sessions.append(session("mushra", "Guy", one))
    (result,) = combine_sessions(sessions).mushra
    assert result.excluded == {
        "Eve": "rated the hidden reference below 90 for 2 of 10 items",
        "Flo": "rated the mid anchor above 90 for 2 of 10 items",
    }
    scores = {condition.name: condition for condition in result.conditions}
    assert list(scores) == ["reference", "mid anchor", "codec", "low anchor"] and result.listeners == 5
    assert scores["codec"].mean == 50 and scores["codec"].scores == 50
    assert scores["reference"].interval.low <= scores["reference"].mean <= scores["reference"].interval.high


def test_an_anchor_that_many_cannot_hear_excludes_nobody(session):
    sessions = [session("mushra", name, [ratings("a", mid=95)]) for name in ("Ada", "Bo", "Cy")]
    (result,) = combine_sessions(sessions).mushra
    assert not result.excluded and result.listeners == 3


def test_all_listeners_excluded(session):
    (result,) = combine_sessions([session("mushra", "Ada", [ratings("a", reference=10)])]).mushra
    assert result.conditions == [] and list(result.excluded) == ["Ada"]


def test_a_session_counts_once(session):
    trials = [{"item": "a", "x": "A", "answer": "A"}]
    once = session("abx", "Ada", trials, ["a", "b"])
    with pytest.raises(BadInputError, match="same session"):
        combine_sessions([once, once])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "no results"),
        ({"test": "abc"}, "no test called 'abc'"),
        ({"pair": ["a"]}, "'pair'"),
        ({"seed": "1"}, "'seed' is missing or malformed"),
        ({"report": {}}, "'weights'"),
        ({"trials": []}, "no trials"),
        ({"trials": [3]}, "'trials' must hold objects"),
        ({"trials": [{"item": "a", "x": "C", "answer": "A"}]}, "'x' must be one of A, B"),
        ({"trials": [{"item": "a", "x": "A"}]}, "'answer' is missing"),
        ({"test": "mushra", "trials": [{"item": "a", "ratings": {"reference": 1}}]}, "mid anchor is missing"),
        ({"test": "mushra", "trials": [ratings("a", codec=101)]}, "from 0 to 100"),
        ({"test": "mushra", "trials": [ratings("a", codec=True)]}, "from 0 to 100"),
    ],
)
def test_malformed_results(session, changes, message):
    with pytest.raises(BadInputError, match=message):
        session("abx", "Ada", [{"item": "a", "x": "A", "answer": "A"}], ["a", "b"], changes)


def test_files_that_are_not_results(tmp_path):
    path = tmp_path / "a.json"
    for data in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}'):
        path.write_bytes(data)
        with pytest.raises(BadInputError, match=r"a\.json: (is not JSON|holds no results)"):
            read_session(path)
    with pytest.raises(BadInputError, match="no such file"):
        read_session(tmp_path / "missing.json")
