"""Commands that read the registry."""

from __future__ import annotations

import re
from argparse import Namespace

from airflow_mlops.cli.answers import Answer, day, facts, paragraph, table
from airflow_mlops.cli.connections import Connections
from airflow_mlops.core import tags
from airflow_mlops.core.comparison import choose, rank
from airflow_mlops.core.comparison import compare as side_by_side
from airflow_mlops.core.ledger import LedgerEntry
from airflow_mlops.core.status import ModelStatus, Standing, reign_at
from airflow_mlops.exceptions import NotFound
from airflow_mlops.steps.status import model_history, model_names, model_status

#: Models that `best` lists behind the best one.
_RUNNERS_UP = 5


def status(connections: Connections, arguments: Namespace) -> Answer:
    """One model, or a line for each."""
    client = connections.client
    if arguments.name:
        found = model_status(client, arguments.name)
        data = found.to_json()
        return Answer(_one(found, arguments.limit), {**data, "models": data["models"][: arguments.limit]})
    all_of_them = [model_status(client, name) for name in model_names(client)]
    lines = [_line(found) for found in all_of_them]
    header = ["MODEL", "CHAMPION", "AS-OF", "SINCE (UTC)", "PINNED", "NEWEST"]
    text = table(header, lines) if lines else ["No model is registered."]
    return Answer(text, [{**f.to_json(), "models": [s.to_json() for s in f.standings[:1]]} for f in all_of_them])


def _line(found: ModelStatus) -> list[str]:
    newest = found.standings[0] if found.standings else None
    return [
        found.name,
        f"version {found.champion}" if found.champion else "none",
        day(found.reign.as_of) if found.reign else "-",
        day(found.reign.since) if found.reign else "-",
        "yes" if found.pin else "-",
        f"{day(newest.as_of)}: {newest.state}" if newest else "-",
    ]


def _one(found: ModelStatus, limit: int) -> list[str]:
    lines = []
    if found.champion is None:
        lines += [f"{found.name}: no version is in production."]
    elif found.reign is None or found.reign.version != found.champion:
        lines += paragraph(
            f"{found.name}: version {found.champion} is {found.alias}, and the ledger does not say since when: "
            "see `doctor`."
        )
    else:
        lines += [f"{found.name}: version {found.champion} is {found.alias} since {day(found.reign.since)} UTC."]
        lines += facts([("as-of", day(found.reign.as_of)), ("why", found.reign.reason), ("by", found.reign.actor)])
    if found.pin:
        lines += facts([("pinned", f"to version {found.pin.version} by {found.pin.actor}: {found.pin.reason}")])
    shown = list(found.standings[:limit])
    metric = _metric(shown)
    header = ["VERSION", "AS-OF", "VERDICT", (metric or "METRIC").upper(), "STATE", "MODEL"]
    rows = [
        [str(s.version or "-"), day(s.as_of), s.verdict, _figure(s, metric), s.state, s.model_id or "-"] for s in shown
    ]
    lines += ["", *table(header, rows)] if rows else []
    left = len(found.standings) - len(shown)
    return lines + ([f"… and {left} older: --limit {len(found.standings)}"] if left else [])


def _metric(shown: list[Standing]) -> str | None:
    """The metric that the newest model was judged by."""
    for standing in shown:
        if named := standing.primary_metric:
            return named
    return None


def _figure(standing: Standing, metric: str | None) -> str:
    return f"{standing.metrics[metric]:.4f}" if metric in standing.metrics else "-"


def history(connections: Connections, arguments: Namespace) -> Answer:
    """The ledger, the oldest entry first."""
    entries = model_history(connections.client, arguments.name)
    lines = [line for entry in entries for line in _entry(entry)]
    return Answer(
        lines or [f"Nothing was ever promoted of {arguments.name}."], [dict(vars(entry)) for entry in entries]
    )


def _entry(entry: LedgerEntry) -> list[str]:
    before = f"version {entry.previous}" if entry.previous else "nothing"
    if entry.previous == entry.champion:
        change = f"version {entry.champion} stays"
    else:
        change = f"{before} → version {entry.champion}" if entry.champion else f"{before} → nothing"
    pin = f", pinned to {entry.pinned}" if entry.pinned else ""
    head = f"{entry.sequence:>3}  {day(entry.at)}  {change} (as-of {day(entry.as_of)}{pin})"
    return [head, *facts([("why", entry.reason), ("by", entry.actor)], indent="     ")]


def in_force(connections: Connections, arguments: Namespace) -> Answer:
    """What the ledger says of one instant."""
    found = reign_at(model_history(connections.client, arguments.name), arguments.at)
    asked = {"name": arguments.name, "at": arguments.at.isoformat()}
    if found is None:
        return Answer(
            [f"{arguments.name} had no version in production at {day(arguments.at)}."], {**asked, "reign": None}
        )
    until = f"until {day(found.until)}" if found.until else "and still is"
    lines = [
        f"{arguments.name} at {day(arguments.at)}: version {found.version} was in production, "
        f"since {day(found.since)} {until}.",
        *facts([("as-of", day(found.as_of)), ("why", found.reason), ("by", found.actor)]),
    ]
    return Answer(lines, {**asked, "reign": found.to_json()})


def best(connections: Connections, arguments: Namespace) -> Answer:
    """Historical models count too, unless only registered ones are asked for."""
    name, metric = arguments.name, arguments.metric
    known = model_status(connections.client, name).standings
    ranked = rank(known, metric, start=arguments.start, end=arguments.end, registered=arguments.registered)
    between = " ".join(f"{word} {day(at)}" for word, at in (("from", arguments.start), ("to", arguments.end)) if at)
    if not ranked:
        there = ", ".join(dict.fromkeys(metric for one in known for metric in one.metrics)) or "none"
        raise NotFound(f"No model of {name} {between} has a {metric}. Metrics of its models: {there}.")
    first, *others = ranked
    lines = [f"Best {metric} of {name}{f' {between}' if between else ''}: {first.metrics[metric]:.4f}, {first.label}"]
    params = first.spec.get("params") or {}
    lines += facts(
        [
            ("model", f"{first.model_id} ({first.state})"),
            ("as-of", day(first.as_of)),
            ("verdict", first.facts.get(tags.VERDICT_SUMMARY, first.verdict)),
            ("metrics", ", ".join(f"{key} {value:.4f}" for key, value in first.metrics.items())),
            ("estimator", str(first.spec.get("estimator", tags.UNKNOWN))),
            ("parameters", ", ".join(f"{key}={value}" for key, value in params.items()) or "its defaults"),
            ("seed", str(first.spec.get("seed", tags.UNKNOWN))),
            ("data", first.facts.get(tags.DATA_VERSION, tags.UNKNOWN)),
            ("code", first.facts.get(tags.CODE_VERSION, tags.UNKNOWN)),
        ]
    )
    if others:
        rows = [[f"{o.metrics[metric]:.4f}", day(o.as_of), o.state, o.label] for o in others[:_RUNNERS_UP]]
        lines += ["", *table([metric.upper(), "AS-OF", "STATE", "MODEL"], rows)]
        lines += paragraph("Each figure is of the model's own test rows: `compare` shows which these are.")
    return Answer(lines, {"metric": metric, "best": first.to_json(), "others": [one.to_json() for one in others]})


def compare(connections: Connections, arguments: Namespace) -> Answer:
    """Two models side by side."""
    known = model_status(connections.client, arguments.name).standings
    a, b = (choose(known, arguments.name, text) for text in (arguments.a, arguments.b))
    rows = side_by_side(a, b)
    cells = [["*" if row.differs else "", row.fact, _short(row.a), _short(row.b)] for row in rows]
    differing = sum(row.differs for row in rows)
    lines = [*table(["", "", a.label, b.label], cells), "", f"{differing} of {len(rows)} facts differ."]
    return Answer(lines, {"a": a.to_json(), "b": b.to_json(), "rows": [row.to_json() for row in rows]})


def _short(text: str) -> str:
    """A hash by its head, an import path by its end, an instant by its day; `--json` has the whole."""
    text = re.sub(r"\b[0-9a-f]{13,}\b", lambda found: found[0][:12], text.removesuffix("T00:00:00+00:00"))
    if len(text) <= 34:
        return text
    return f"…{text[-33:]}" if text.replace(".", "_").isidentifier() else f"{text[:33]}…"
