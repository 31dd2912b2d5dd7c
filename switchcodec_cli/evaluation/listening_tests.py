"""Results of blind listening tests, as the page of `swc eval --html` saves them, over several listeners."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from ..errors import BadInputError, system_message
from .statistics import Interval, binomial_p_value, bootstrap_interval, sign_test_p_value

FORMAT = "swc listening test 1"
REFERENCE, LOW_ANCHOR, MID_ANCHOR = "reference", "low anchor", "mid anchor"
NO_PREFERENCE = "none"

_SCORE_LIMIT = 90  # of the post-screening
_SHARE_OF_ITEMS = 0.15
_SHARE_OF_LISTENERS = 0.25
_MAX_BYTES = 10_000_000

Value = TypeVar("Value")


@dataclass(frozen=True)
class Trial:
    """An answer: in ABX and preference tests a choice, in MUSHRA tests scores."""

    item: str
    answer: str = ""
    x: str = ""  # what X was: "A" or "B"
    ratings: tuple[tuple[str, float], ...] = ()  # condition and score


@dataclass(frozen=True)
class Session:
    """The results of one listener in one test."""

    path: str
    test: str  # "abx", "preference" or "mushra"
    listener: str
    seed: int
    date: str
    weights: str  # fingerprint
    pair: tuple[str, str]  # the versions compared; empty names in MUSHRA tests
    trials: tuple[Trial, ...]

    @property
    def conditions(self) -> tuple[str, ...]:
        """What was compared, in a fixed order."""
        return tuple(sorted(dict(self.trials[0].ratings) or self.pair))


@dataclass(frozen=True)
class AbxResult:
    """All ABX sessions of two versions."""

    pair: tuple[str, str]
    listeners: int
    trials: int
    correct: int
    p_value: float  # one-sided exact binomial test over all trials


@dataclass(frozen=True)
class PreferenceResult:
    """All preference tests of two versions."""

    pair: tuple[str, str]
    listeners: int
    first: int  # answers for the first version
    second: int
    none: int
    p_value: float  # two-sided exact sign test; answers for none are not counted


@dataclass(frozen=True)
class ConditionScore:
    """The scores of a condition of a MUSHRA test."""

    name: str
    scores: int
    mean: float
    interval: Interval


@dataclass(frozen=True)
class MushraResult:
    """All MUSHRA sessions with the same conditions."""

    listeners: int  # whose scores count
    excluded: dict[str, str]  # listeners excluded by post-screening, with the reason
    conditions: list[ConditionScore]  # best first; empty if all listeners are excluded


@dataclass(frozen=True)
class ListeningResults:
    """Results over several listeners."""

    abx: list[AbxResult]
    preference: list[PreferenceResult]
    mushra: list[MushraResult]

    def as_dict(self) -> dict[str, Any]:
        """The results as plain values for JSON; limits that do not exist are None."""
        return {name: _plain(entries) for name, entries in asdict(self).items()}


def combine_sessions(sessions: Sequence[Session]) -> ListeningResults:
    """Combine sessions that compare the same versions, made with the same weights.

    MUSHRA scores are screened first: a listener is excluded who rates the hidden reference below 90, or the
    mid anchor above 90, for more than 15 % of the items. Items whose mid anchor more than a quarter of the
    listeners rate above 90 do not count for the latter.

    Intervals are of 95 %, by the bootstrap over all scores.

    Raises:
        BadInputError: A session is given twice.

    Source: ITU-R BS.1534-3, 4.1.2 (post-screening).
    """
    known: dict[tuple[str, str, int, str], str] = {}
    groups: dict[tuple[Any, ...], list[Session]] = {}
    for session in sessions:
        identity = (session.test, session.listener, session.seed, session.date)
        if identity in known:
            raise BadInputError(f"{session.path}: is the same session as {known[identity]}")
        known[identity] = session.path
        groups.setdefault((session.test, session.weights, session.conditions), []).append(session)

    def of(test: str, combine: Callable[[list[Session]], Value]) -> list[Value]:
        return [combine(group) for (name, *_), group in groups.items() if name == test]

    return ListeningResults(
        of("abx", _combine_abx), of("preference", _combine_preferences), of("mushra", _combine_ratings)
    )


def read_session(path: str | os.PathLike[str]) -> Session:
    """Read the results of a session.

    Raises:
        BadInputError: The file cannot be read, or is not one that the page saves.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"{path}: {system_message(error)}") from None
    if len(data) > _MAX_BYTES:
        raise BadInputError(f"{path}: is too large for results of a listening test")
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise BadInputError(f"{path}: is not JSON") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise BadInputError(f"{path}: holds no results of a listening test")
    try:
        return _session(os.fspath(path), values)
    except _Invalid as error:
        raise BadInputError(f"{path}: {error}") from None


class _Invalid(Exception):
    """What is wrong with results."""


def _session(path: str, values: dict[str, Any]) -> Session:
    test = _field(values, "test", str)
    parse = {"abx": _abx_trial, "preference": _preference_trial, "mushra": _mushra_trial}.get(test)
    if parse is None:
        raise _Invalid(f"there is no test called {test!r}")
    pair = [] if test == "mushra" else _field(values, "pair", list)
    if test != "mushra" and (len(pair) != 2 or not all(isinstance(name, str) for name in pair)):
        raise _Invalid("'pair' must be the names of two versions")
    trials = _field(values, "trials", list)
    if not trials:
        raise _Invalid("there are no trials")
    if not all(isinstance(trial, dict) for trial in trials):
        raise _Invalid("'trials' must hold objects")
    session = Session(
        path,
        test,
        _field(values, "listener", str),
        _field(values, "seed", int),
        _field(values, "date", str),
        _field(_field(values, "report", dict), "weights", str),
        (pair[0], pair[1]) if pair else ("", ""),
        tuple(parse(trial, pair) for trial in trials),
    )
    if any(_names(trial) != _names(session.trials[0]) for trial in session.trials):
        raise _Invalid("not all items have the same conditions")
    return session


def _names(trial: Trial) -> set[str]:
    return {name for name, _ in trial.ratings}


def _field(values: dict[str, Any], name: str, kind: type[Value]) -> Value:
    value = values.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _Invalid(f"{name!r} is missing or malformed")
    return value


def _choice(values: dict[str, Any], name: str, choices: Sequence[str]) -> str:
    value = _field(values, name, str)
    if value not in choices:
        raise _Invalid(f"{name!r} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _abx_trial(values: dict[str, Any], _: Sequence[str]) -> Trial:
    x, answer = _choice(values, "x", "AB"), _choice(values, "answer", "AB")
    return Trial(_field(values, "item", str), answer, x)


def _preference_trial(values: dict[str, Any], pair: Sequence[str]) -> Trial:
    return Trial(_field(values, "item", str), _choice(values, "answer", [*pair, NO_PREFERENCE]))


def _mushra_trial(values: dict[str, Any], _: Sequence[str]) -> Trial:
    ratings = _field(values, "ratings", dict)
    for name in (REFERENCE, MID_ANCHOR, LOW_ANCHOR):
        if name not in ratings:
            raise _Invalid(f"a score of the {name} is missing")
    for score in ratings.values():
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 100:
            raise _Invalid("scores must be numbers from 0 to 100")
    return Trial(_field(values, "item", str), ratings=tuple((name, float(ratings[name])) for name in ratings))


def _listeners(sessions: Iterable[Session]) -> list[str]:
    return list(dict.fromkeys(session.listener for session in sessions))


def _combine_abx(sessions: list[Session]) -> AbxResult:
    answers = [trial.answer == trial.x for session in sessions for trial in session.trials]
    p_value = binomial_p_value(sum(answers), len(answers))
    return AbxResult(sessions[0].pair, len(_listeners(sessions)), len(answers), sum(answers), p_value)


def _combine_preferences(sessions: list[Session]) -> PreferenceResult:
    pair = sessions[0].pair
    answers = [trial.answer for session in sessions for trial in session.trials]
    first, second, none = (answers.count(name) for name in (*pair, NO_PREFERENCE))
    p_value = sign_test_p_value(first, second)
    return PreferenceResult(pair, len(_listeners(sessions)), first, second, none, p_value)


def _combine_ratings(sessions: list[Session]) -> MushraResult:
    trials = {
        name: [trial for session in sessions if session.listener == name for trial in session.trials]
        for name in _listeners(sessions)
    }
    unclear = _items_with_unclear_anchor(trials)
    reasons = {name: _reason_to_exclude(own, unclear) for name, own in trials.items()}
    excluded = {name: reason for name, reason in reasons.items() if reason}
    ratings = [dict(trial.ratings) for name, own in trials.items() if name not in excluded for trial in own]
    conditions = [
        _condition_score(name, [each[name] for each in ratings])
        for name in (sessions[0].conditions if ratings else ())
    ]
    conditions.sort(key=lambda condition: -condition.mean)
    return MushraResult(len(trials) - len(excluded), excluded, conditions)


def _condition_score(name: str, scores: Sequence[float]) -> ConditionScore:
    return ConditionScore(name, len(scores), sum(scores) / len(scores), bootstrap_interval(scores))


def _items_with_unclear_anchor(trials: dict[str, list[Trial]]) -> set[str]:
    """Items whose mid anchor many listeners could not tell from the reference."""
    heard: dict[str, list[bool]] = {}
    for own in trials.values():
        for trial in own:
            heard.setdefault(trial.item, []).append(dict(trial.ratings)[MID_ANCHOR] > _SCORE_LIMIT)
    return {item for item, high in heard.items() if sum(high) > _SHARE_OF_LISTENERS * len(high)}


def _reason_to_exclude(trials: Sequence[Trial], unclear: set[str]) -> str:
    """Why a listener is excluded; an empty text if not."""
    ratings = [dict(trial.ratings) for trial in trials]
    low = sum(each[REFERENCE] < _SCORE_LIMIT for each in ratings)
    if low > _SHARE_OF_ITEMS * len(trials):
        return f"rated the hidden reference below {_SCORE_LIMIT} for {low} of {len(trials)} items"
    high = sum(
        dict(trial.ratings)[MID_ANCHOR] > _SCORE_LIMIT for trial in trials if trial.item not in unclear
    )
    if high > _SHARE_OF_ITEMS * len(trials):
        return f"rated the mid anchor above {_SCORE_LIMIT} for {high} of {len(trials)} items"
    return ""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
