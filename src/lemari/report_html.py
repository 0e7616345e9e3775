"""The paper a report is set on: words, tables, pictures and the page, as safe HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from lemari.figures.captions import caption

_MOST_BYTES = 32 * 2**20
_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


def text(value: object) -> str:
    """Any value as escaped words: numbers in few digits, lists as a × b."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, (list, tuple)):
        joint = " × " if all(isinstance(v, int) for v in value) else ", "
        more = f" and {len(value) - 24} more" if len(value) > 24 else ""
        return joint.join(text(v) for v in value[:24]) + more if value else "–"
    return escape(str(value))


def _real(value: float) -> str:
    if value != value or abs(value) == float("inf"):
        return "not finite"
    words = f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
    return words.replace("-", "−") if "e" not in words else words


def flat(record: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """The values of nested records, named by their path with points."""
    rows: list[tuple[str, object]] = []
    for key, value in record.items():
        nested = isinstance(value, Mapping) and prefix.count(".") < 4
        name = f"{prefix}{key}"
        rows += flat(value, f"{name}.") if nested else [(name, value)]  # pyright: ignore[reportArgumentType]
    return rows


def pairs(rows: Iterable[tuple[str, object]], label: str) -> str:
    """A table of names and values, without those that are missing."""
    kept = [(escape(str(n)), text(v)) for n, v in rows if v not in (None, "", [], {})]
    return table((), kept, label) if kept else ""


def _box(label: str) -> str:
    return f'class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """Rows of HTML cells in a box of their own that scrolls; the first cell names the row."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    top = f"<thead><tr>{top}</tr></thead>" if head else ""
    kind = "" if head else ' class="pairs"'
    return f"<div {_box(label)}><table{kind}>{top}<tbody>{body}</tbody></table></div>"


def picture(path: Path) -> str:
    """A PNG or GIF file as a figure that carries its bytes; nothing where it is not one."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return ""
        content = path.read_bytes()
    except OSError:
        return ""
    kind = next((kind for magic, kind in _KINDS if content.startswith(magic)), None)
    if kind is None or len(content) < 24:
        return ""
    png = kind == "image/png"
    order, at, step = ("big", 16, 4) if png else ("little", 6, 2)
    width, height = (int.from_bytes(content[a : a + step], order) for a in (at, at + step))
    title, words = (escape(part) for part in caption(path.stem))
    source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    shape = "wide" if width > 900 else "narrow"
    told = f"{title}. {words}".strip()
    moving = "" if png else ", moving"
    return (
        f'<figure class="{shape}"><div {_box("Picture: " + caption(path.stem)[0])}>'
        f'<img src="{source}" width="{width}" height="{height}" alt="{told}">'
        f"</div><figcaption><b>{title}{moving}.</b> {words}</figcaption></figure>"
    )


def page(title: str, head: str, sections: Sequence[tuple[str, str]], foot: str) -> str:
    """The whole document, under a policy that allows its own style and pictures and no more."""
    seal = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{seal}'; "
        "base-uri 'none'; form-action 'none'"
    )
    names = [(name, name.lower().replace(" ", "-")) for name, _ in sections]
    links = "".join(f'<a href="#{key}">{name}</a>' for name, key in names)
    nav = f'<nav aria-label="Contents">{links}</nav>' if len(names) > 2 else ""
    body = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{name}</h2>{content}</section>'
        for (name, key), (_, content) in zip(names, sections, strict=True)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)} · Lemari</title><style>{_CSS}</style></head>"
        f"<body>{head}{nav}<main>{body}</main><footer>{foot}</footer></body></html>\n"
    )


_CSS = """
:root{--paper:#FBFAF7;--card:#FFFFFF;--ink:#23272E;--muted:#5F656E;--rule:#E0DDD5;
--accent:#0B6E82;--good:#1F6B3A;--error:#A61B1B;--warning:#8A5200;--info:#0B6E82;
--sans:"Inter","Helvetica Neue",Helvetica,Arial,"Liberation Sans",system-ui,sans-serif;
--serif:"Charter","Bitstream Charter","Iowan Old Style",Georgia,"Liberation Serif",serif;
--mono:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace}
@media (prefers-color-scheme:dark){:root{--paper:#16191D;--card:#1E2227;--ink:#E6E4DE;
--muted:#A0A6AE;--rule:#343A41;--accent:#66BBCB;--good:#7CC495;--error:#FF8B80;--warning:#F0B45A;
--info:#66BBCB}figure .scroll{background:#FBFAF7;border-radius:6px}img{filter:brightness(.94)}}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:3rem 1.5rem 4rem;max-width:62rem;background:var(--paper);
color:var(--ink);font:400 1rem/1.55 var(--sans);overflow-wrap:anywhere}
header{border-top:3px solid var(--ink);padding-top:1rem}
h1{font:600 2.4rem/1.15 var(--serif);margin:.2rem 0 .6rem}
h2{font:600 1.4rem/1.2 var(--serif);margin:0 0 1rem}h3{font-size:1rem;margin:0 0 .3rem}
p{margin:.3rem 0;max-width:44rem}
.kicker,.facts,small,figcaption,footer,nav{color:var(--muted);font-size:.875rem}
.kicker{letter-spacing:.04em}
.verdict{text-wrap:pretty;font:400 1.25rem/1.45 var(--serif)}
.better{color:var(--good)}.worse{color:var(--error)}.verdict span{font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(12rem,1fr));gap:0 2rem;
margin:1.5rem 0 0}.tiles div{border-top:1px solid var(--rule);padding:.6rem 0 .9rem}
.tiles dt{color:var(--muted);font-size:.875rem}.tiles dd{margin:0}
.tiles b{display:block;font:600 1.7rem/1.25 var(--serif);font-variant-numeric:lining-nums}
.tiles small{display:block}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;margin:1rem 0 0;padding:.7rem 0;
border-top:1px solid var(--rule);border-bottom:1px solid var(--rule)}
a{color:var(--accent);text-underline-offset:.15em}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
section{margin-top:3rem}
.findings{list-style:none;margin:0;padding:0;display:grid;gap:.75rem}
.finding{background:var(--card);border:1px solid var(--rule);border-left-width:4px;
border-radius:4px;padding:.8rem 1rem}
.error{border-left-color:var(--error)}.warning{border-left-color:var(--warning)}
.info{border-left-color:var(--info)}
.finding h3 span{font-size:.8rem;margin-right:.4rem}.error h3 span{color:var(--error)}
.warning h3 span{color:var(--warning)}.info h3 span{color:var(--info)}
figure{margin:0 0 2.5rem}figcaption{margin-top:.5rem;max-width:44rem}
figcaption b{color:var(--ink)}
img{display:block;max-width:100%;height:auto}.narrow img{max-width:min(100%,36rem)}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;min-width:60%}
th,td{text-align:left;vertical-align:top;padding:.35rem 1.5rem .35rem 0;
border-bottom:1px solid var(--rule);overflow-wrap:normal}
thead th{color:var(--muted);font-weight:400;white-space:nowrap;border-bottom-color:var(--muted)}
tbody th{font-weight:500;min-width:8rem}td{max-width:34rem}
td b,td:has(>.better,>.worse,>.equal,>.plain){white-space:nowrap}
.pairs th{color:var(--muted);font-weight:400;width:14rem}.pairs td{overflow-wrap:anywhere}
.scroll+.scroll,details,h3.next{margin-top:1.25rem}summary{cursor:pointer;margin-bottom:.5rem}
pre{background:var(--card);border:1px solid var(--rule);border-radius:4px;padding:.8rem 1rem;
font:.85rem/1.5 var(--mono);white-space:pre-wrap;margin:.5rem 0 1rem}
footer{margin-top:4rem;border-top:1px solid var(--rule);padding-top:.8rem}
@media (max-width:40rem){body{padding:1.25rem 1rem 3rem}h1{font-size:1.8rem}
.wide img{max-width:none;width:40rem}
.tiles{grid-template-columns:repeat(auto-fill,minmax(9rem,1fr))}
th,td{padding-right:1rem}.pairs th{width:auto}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--muted:#444;--rule:#bbb;--accent:#000;
--good:#000;--error:#8A1010;--warning:#6B4000;--info:#333}body{padding:0;max-width:none;
font-size:10pt}nav{display:none}section{margin-top:1.5rem}img{filter:none}
figure,tr,.finding,pre{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}
details::details-content{content-visibility:visible;block-size:auto}@page{margin:18mm}}
"""
