"""The report of a run: one HTML file with pictures, histograms and reasons."""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from jaxportrait.whole import write_whole
from train.data.spacing import evenly_spaced
from train.prepare.manifest import Entry
from train.prepare.quality.charts import Series, draw_histogram
from train.prepare.quality.gates import Limit
from train.prepare.quality.lip_sound import Verdict

REPORT = "report.html"
MOST_SHOWN = 150
"""Most clips that are shown of those left out, and of those used."""
OTHER_BOUNDS = 7
"""Other bounds of a gate that are tried."""
STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1180px; color: #222 }
h1 { font-size: 22px } h2 { font-size: 17px; margin-top: 2em }
table { border-collapse: collapse } td, th { padding: 3px 10px 3px 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid #eee }
td.number, th.number { text-align: right }
.gate { display: inline-block; margin: 0 28px 20px 0; vertical-align: top }
.gate h3 { margin: 0 0 4px; font-size: 14px }
rect.used { fill: #4a90c2 } rect.wrong { fill: #d9822b; opacity: .6 }
line.bound { stroke: #c22 } text { font-size: 11px; fill: #666 } text.bound { fill: #c22 }
.out { color: #b11 } .flaw { color: #777 } img { display: block; border-radius: 3px }
tr.now td { font-weight: 600 }
"""
SHOWN_COLUMNS = (
    "visibility",
    "silence",
    "movement",
    "black",
    "people",
    "aspect",
    "identity",
    "score",
    "lip_sound",
)


def write_report(
    folder: Path,
    entries: Sequence[Entry],
    limits: Sequence[Limit],
    thumbnail: Callable[[str], bytes],
    verdict: Verdict | None = None,
) -> Path:
    """Write `report.html` into a folder, whole or not at all.

    Args:
      folder: folder of the data set.
      entries: manifest entries of all clips.
      limits: limits that the clips were judged by.
      thumbnail: returns the JPEG of a clip that could be read, by name.
      verdict: comparison of lips and sound, if there was one.
    """
    if verdict is not None and verdict.is_on:
        limit = Limit(
            "lip_sound", least=verdict.threshold, setting="lip-sound-percentile"
        )
        limits = [*limits, limit]
    sections = [
        _summary(entries),
        _reasons(entries),
        _gates(entries, limits, verdict),
        _gallery(entries, thumbnail),
    ]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(folder.name)}</title><style>{STYLE}</style>"
        f"<h1>Clips of {escape(folder.name)}</h1>{''.join(sections)}</html>\n"
    )
    path = folder / REPORT
    with write_whole(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already."""
    titles = "".join(f"<th>{title}</th>" for title in head)
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><tr>{titles}</tr>{body}</table>"


def _minutes(entries: Sequence[Entry]) -> str:
    return f"{sum(entry.seconds for entry in entries) / 60:.1f}"


def _summary(entries: Sequence[Entry]) -> str:
    """Return the contents of the splits, and what is left out."""
    groups = {
        "train": [entry for entry in entries if "train" in entry.splits],
        "validation": [entry for entry in entries if "validation" in entry.splits],
        "left out": [entry for entry in entries if entry.reason],
    }
    rows = []
    for name, group in groups.items():
        subjects = {entry.subject for entry in group}
        rows.append([name, str(len(group)), str(len(subjects)), _minutes(group)])
    return _table(["", "clips", "subjects", "minutes"], rows)


def _reasons(entries: Sequence[Entry]) -> str:
    """Return the reasons of clips left out, counted, with an example."""
    counts: Counter[str] = Counter()
    examples: dict[str, Entry] = {}
    for entry in entries:
        for reason in filter(None, entry.reason.split("; ")):
            # the values differ, and the gate is the same
            gate = reason.split(" ")[0] if "(--" in reason else "cannot be used"
            kind = "a copy" if reason.startswith("the same content") else gate
            counts[kind] += 1
            examples.setdefault(kind, entry)
    if not counts:
        return "<h2>Reasons</h2><p>No clip was left out.</p>"
    rows = []
    for kind, count in counts.most_common():
        example = examples[kind]
        text = f"{escape(example.clip)}: {escape(example.reason)}"
        rows.append([str(count), escape(kind), text])
    return f"<h2>Reasons</h2>{_table(['clips', 'reason', 'such as'], rows)}"


def _gates(
    entries: Sequence[Entry], limits: Sequence[Limit], verdict: Verdict | None
) -> str:
    """Return a histogram of every gate, and the clips that other bounds would leave."""
    parts = ["<h2>Gates</h2>"]
    if verdict is not None:
        lines = [f"<p>{escape(line)}</p>" for line in verdict.lines()]
        parts += lines
    if verdict is not None and not verdict.is_on and verdict.right.size:
        chart = draw_histogram(_pairs(verdict), verdict.threshold)
        parts.append(f'<div class="gate"><h3>lip_sound, no gate</h3>{chart}</div>')
    for limit in limits:
        values = [limit.value(entry) for entry in entries]
        numbers = np.array([value for value in values if value is not None])
        if not numbers.size:
            continue
        series = [Series(numbers, "used")]
        if limit.column == "lip_sound" and verdict is not None:
            series = _pairs(verdict)
        chart = draw_histogram(series, limit.bound)
        table = _other_bounds(entries, limits, limit, numbers)
        title = f"{escape(limit.column)} ({escape(limit.option)})"
        parts.append(f'<div class="gate"><h3>{title}</h3>{chart}{table}</div>')
    return "".join(parts)


def _pairs(verdict: Verdict) -> list[Series]:
    """Return the scores of right and of wrong pairs."""
    return [Series(verdict.right, "used"), Series(verdict.wrong, "wrong")]


def _other_bounds(
    entries: Sequence[Entry],
    limits: Sequence[Limit],
    limit: Limit,
    values: np.ndarray,
) -> str:
    """Return the clips and minutes that other bounds of a gate would leave, the other
    gates as they are."""
    candidates = np.quantile(values, np.linspace(0, 1, OTHER_BOUNDS)).tolist()
    rows = []
    for bound in sorted({*candidates, limit.bound}):
        others = [limit.moved(bound) if other is limit else other for other in limits]
        rest = [entry for entry in entries if would_pass(entry, limits, others)]
        mark = ' class="now"' if bound == limit.bound else ""
        cells = "".join(
            f'<td class="number">{cell}</td>'
            for cell in (f"{bound:.3g}", len(rest), _minutes(rest))
        )
        rows.append(f"<tr{mark}>{cells}</tr>")
    head = "".join(
        f'<th class="number">{title}</th>' for title in ("bound", "clips", "minutes")
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def would_pass(entry: Entry, limits: Sequence[Limit], others: Sequence[Limit]) -> bool:
    """Return whether a clip would be used under other limits."""
    if not entry.frames or not all(limit.passes(entry) for limit in others):
        return False
    # a reason that no limit explains stays, such as a copy
    is_limited = not all(limit.passes(entry) for limit in limits)
    return not entry.reason or is_limited


def _gallery(entries: Sequence[Entry], thumbnail: Callable[[str], bytes]) -> str:
    """Return pictures and values of clips, those left out first."""
    out = [entry for entry in entries if entry.reason]
    used = [entry for entry in entries if not entry.reason]
    return _clips("Left out", out, thumbnail) + _clips("Used", used, thumbnail)


def _clips(
    title: str, entries: Sequence[Entry], thumbnail: Callable[[str], bytes]
) -> str:
    if not entries:
        return ""
    places = evenly_spaced(len(entries), MOST_SHOWN)
    rows = [_row(entries[place], thumbnail) for place in places]
    shown = f" ({len(rows)} of {len(entries)})" if len(rows) < len(entries) else ""
    return f"<h2>{title}{shown}</h2>{_table(['', 'clip', 'values'], rows)}"


def _row(entry: Entry, thumbnail: Callable[[str], bytes]) -> list[str]:
    """Return the cells of a clip."""
    picture = thumbnail(entry.clip) if entry.frames else b""
    image = ""
    if picture:
        data = b64encode(picture).decode()
        image = f'<img src="data:image/jpeg;base64,{data}" alt="">'
    lines = [
        f"<b>{escape(entry.clip)}</b>",
        f"{entry.seconds:.1f} s of {escape(entry.subject)}",
    ]
    if entry.reason:
        lines.append(f'<span class="out">{escape(entry.reason)}</span>')
    if entry.remark:
        lines.append(f'<span class="flaw">{escape(entry.remark)}</span>')
    values = []
    for column in SHOWN_COLUMNS:
        value = getattr(entry, column)
        if value is not None:
            values.append(f"{column.replace('_', ' ')} {value:.3g}")
    return [image, "<br>".join(lines), "<br>".join(values)]
