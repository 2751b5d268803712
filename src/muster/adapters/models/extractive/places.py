"""Which of the documents that searches and listings named are worth opening."""

from collections.abc import Iterable, Sequence

from muster.adapters.models.extractive.questions import Facet
from muster.adapters.models.extractive.ranking import Corpus
from muster.adapters.models.extractive.reading import Exchange
from muster.adapters.models.extractive.toolkinds import name_words
from muster.adapters.models.extractive.words import keywords, stem

_HITS = 12
_LEAST_COVERAGE = 0.15
_STRONG = 0.3


def promising(
    searches: Sequence[Exchange], facets: Sequence[Facet], corpus: Corpus, question: str
) -> list[str]:
    """Return the places that the searches named, the most promising first.

    A place counts for the sentences it matched with and for the question's words in its name.
    """
    named = _named(searches)
    scores: dict[str, float] = {}
    best_of_facets: set[str] = set()
    for facet in facets:
        ranked = [
            item
            for item in corpus.rank(facet, _LEAST_COVERAGE)
            if item.sentence.document.location in named
        ]
        if ranked:
            best_of_facets.add(ranked[0].sentence.document.location)
        for item in ranked[:_HITS]:
            place = item.sentence.document.location
            scores[place] = scores.get(place, 0.0) + item.score / ranked[0].score
    hits = dict(_name_hits(named, question))
    for place, count in hits.items():
        scores[place] = scores.get(place, 0.0) + count
    ordered = sorted(scores, key=lambda place: (-scores[place], place))
    if not ordered:
        return named
    least = _STRONG * scores[ordered[0]]
    return [place for place in ordered if scores[place] >= least or place in best_of_facets]


def by_name(places: Iterable[str], question: str) -> list[str]:
    """Return the places whose names hold words of the question, most words first."""
    hits = _name_hits(places, question)
    return [place for place, _ in sorted(hits, key=lambda hit: (-hit[1], hit[0]))]


def _named(searches: Sequence[Exchange]) -> list[str]:
    found: dict[str, None] = {}
    for exchange in searches:
        places = [document.location for document in exchange.findings.documents]
        found.update(dict.fromkeys(p for p in (*places, *exchange.findings.listed) if p))
    return list(found)


def _name_hits(places: Iterable[str], question: str) -> list[tuple[str, int]]:
    wanted = {stem(word.lower()) for word in keywords(question)}
    counted = [(place, len(wanted & {stem(w) for w in name_words(place)})) for place in places]
    return [(place, count) for place, count in counted if count]
