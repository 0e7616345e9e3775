"""The page of restored pictures: before and after under a slider, in one file without links."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lemari.files import write
from lemari.png_files import encode_png
from lemari.sources.base import shown

MOST, STRIP = 12, 6  # pictures on the page and in the strip
WHOLE, OVERVIEW, CROP = 500_000, 1024, 256  # pixels shown whole; sides of what is shown instead
SMALL, ENLARGED, GAP, LINE = 64, 4, 12, 22  # the strip: crops, their enlargement, spaces in pixels
PAPER, INK, MUTED = "#FBFAF7", "#23272E", "#6A6F78"
VERBS = {"denoise": "Noise removed", "upscale": "Enlarged", "inpaint": "Places filled"}


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Two PNG files of the same size (W, H), and what they show."""

    before: bytes
    after: bytes
    size: tuple[int, int]
    words: str
    zoom: int = 0  # 0: as large as fits


@dataclass
class Page:
    """Collects pairs of pictures while they are made; holds small copies only."""

    pairs: list[tuple[str, str, list[View]]] = field(default_factory=list)
    crops: list[tuple[str, Image.Image, Image.Image]] = field(default_factory=list)
    left_out: int = 0

    def add(self, name: str, facts: str, before: np.ndarray, after: np.ndarray) -> None:
        """Add a pair (H, W, C); a smaller `before` is enlarged by bicubic interpolation."""
        if len(self.pairs) >= MOST:
            self.left_out += 1
            return
        name = shown(name)
        old, new = eight_bit(before), eight_bit(after)
        self.pairs.append((name, facts, views(old, new)))
        if len(self.crops) < STRIP:
            self.crops.append((name, middle(old, new.size, SMALL), middle(new, new.size, SMALL)))

    def write(self, out: Path, task: str) -> Path:
        """Write `before-after.png` and `restored.html` (or a free name like it) into a folder."""
        write(unused(out / "before-after.png"), encode_png(np.asarray(self.strip())))
        return write(unused(out / "restored.html"), document(self, task).encode())

    def strip(self) -> Image.Image:
        """Crops at 4x: the names, the pictures before, and below them those after."""
        side = SMALL * ENLARGED
        width = GAP + len(self.crops) * (side + GAP)
        sheet = Image.new("RGB", (width, 2 * (side + LINE) + LINE + 2 * GAP), PAPER)
        pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
        for i, (name, *pair) in enumerate(self.crops):
            x = GAP + i * (side + GAP)
            pen.text((x, GAP // 2), printable(name, 34), INK, font)
            for row, (crop, word) in enumerate(zip(pair, ("before", "after"), strict=True)):
                y = GAP + LINE + row * (side + LINE)
                large = (crop.width * ENLARGED, crop.height * ENLARGED)
                sheet.paste(crop.convert("RGB").resize(large, Image.Resampling.NEAREST), (x, y))
                pen.text((x, y + side + 2), word, MUTED, font)
        return sheet


def unused(path: Path) -> Path:
    """The path, with a number when something is there already."""
    free, number = path, 1
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def printable(text: str, limit: int) -> str:
    """One line of Latin letters, which the built-in font has, cut at the limit."""
    line = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in text)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def eight_bit(pixels: np.ndarray) -> Image.Image:
    """Pixels (H, W, 1 or 3) of 8 or 16 bits as a picture of 8 bits."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def middle(picture: Image.Image, size: tuple[int, int], side: int) -> Image.Image:
    """The middle of a picture as it is at `size` (W, H), at most side x side pixels."""
    width, height = (min(side, n) for n in size)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    s = size[0] / picture.width
    box = (left / s, top / s, (left + width) / s, (top + height) / s)
    return picture.resize((width, height), Image.Resampling.BICUBIC, box=box)


def views(old: Image.Image, new: Image.Image) -> list[View]:
    """The pair as a whole; of large ones an overview and the middle."""
    width, height = new.size
    if width * height <= WHOLE:
        whole = old if old.size == new.size else old.resize(new.size, Image.Resampling.BICUBIC)
        return [view(whole, new, "")]
    s = OVERVIEW / max(width, height)
    small = (max(1, round(width * s)), max(1, round(height * s)))
    before, after = (p.resize(small, Image.Resampling.LANCZOS) for p in (old, new))
    crops = (middle(old, new.size, CROP), middle(new, new.size, CROP))
    return [
        view(before, after, f"Overview, {s:.0%} of its size."),
        view(*crops, "The middle, at 4x.", 4),
    ]


def view(old: Image.Image, new: Image.Image, words: str, zoom: int = 0) -> View:
    before, after = (encode_png(np.asarray(p)) for p in (old, new))
    return View(before, after, new.size, words, zoom)


def document(page: Page, task: str) -> str:
    """The page, under a policy that allows its own style, script and pictures and no more."""
    style, script = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()
                     for t in (_CSS, _JS))  # fmt: skip
    policy = (f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; "
              f"script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'")  # fmt: skip
    title = VERBS.get(task, "Restored")
    more = f" {page.left_out:,} more were restored and are not shown." if page.left_out else ""
    before = "bicubic enlargement" if task == "upscale" else "before"
    body = "".join(section(*pair, before) for pair in page.pairs)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} · Lemari</title><style>{_CSS}</style></head><body>"
        f"<header><h1>{title}</h1><p>Left of the line: {before}. Right of it: after. Move the line "
        "with the slider, zoom with the wheel or the buttons, and drag to look around."
        f"{more}</p></header><main>{body}</main><script>{_JS}</script></body></html>\n"
    )


def section(name: str, facts: str, pairs: list[View], before: str) -> str:
    parts = "".join(viewer(name, one, before) for one in pairs)
    name = escape(name)
    return f'<section><h2>{name}</h2>{parts}<p class="facts">{escape(facts)}</p></section>'


def viewer(name: str, one: View, before: str) -> str:
    """One pair under a slider, with its buttons."""
    width, height = one.size
    layers = "".join(
        f'<div class="layer {kind}"><img alt="{escape(name)}, {word}" draggable="false" '
        f'width="{width}" height="{height}" '
        f'src="data:image/png;base64,{base64.b64encode(data).decode()}"></div>'
        for kind, word, data in (("old", before, one.before), ("new", "after", one.after))
    )
    buttons = "".join(
        f'<button type="button" data-do="{do}" aria-label="{label}">{sign}</button>'
        for do, label, sign in (("out", "Zoom out", "−"), ("in", "Zoom in", "+"),
                                ("fit", "Whole picture", "Fit"), ("one", "Pixel by pixel", "1:1"),
                                ("four", "Four times", "4x"))
    )  # fmt: skip
    words = f"<p>{escape(one.words)}</p>" if one.words else ""
    return (
        f'{words}<div class="viewer" data-zoom="{one.zoom}"><div class="frame">{layers}'
        f'<i class="line"></i><b class="tag left">{before}</b><b class="tag right">after</b></div>'
        '<div class="tools"><input type="range" min="0" max="100" step="0.1" value="50" '
        f'aria-label="Line between before and after">{buttons}<output></output></div></div>'
    )


_CSS = """
:root{--paper:#FBFAF7;--card:#FFF;--ink:#23272E;--muted:#5F656E;--rule:#E0DDD5;--accent:#0B6E82;
--sans:"Inter","Helvetica Neue",Helvetica,Arial,"Liberation Sans",system-ui,sans-serif;
--serif:"Charter","Bitstream Charter","Iowan Old Style",Georgia,"Liberation Serif",serif}
@media (prefers-color-scheme:dark){:root{--paper:#16191D;--card:#1E2227;--ink:#E6E4DE;
--muted:#A0A6AE;--rule:#343A41;--accent:#66BBCB}}
*{box-sizing:border-box}
body{margin:0 auto;padding:3rem 1.5rem 4rem;max-width:62rem;background:var(--paper);
color:var(--ink);font:400 1rem/1.55 var(--sans);overflow-wrap:anywhere}
header{border-top:3px solid var(--ink);padding-top:1rem}
h1{font:600 2.4rem/1.15 var(--serif);margin:.2rem 0 .6rem}
h2{font:600 1.2rem/1.2 var(--serif);margin:0 0 .8rem}p{margin:.3rem 0;max-width:44rem}
section{margin-top:3rem}.facts,section>p{color:var(--muted);font-size:.875rem}
.viewer{margin:0 0 .8rem}
.frame{position:relative;overflow:hidden;height:min(32rem,70vh);background:var(--card);
border:1px solid var(--rule);border-radius:4px;cursor:grab;touch-action:none}
.frame.held{cursor:grabbing}.layer{position:absolute;inset:0;overflow:hidden}
.layer img{position:absolute;left:0;top:0;max-width:none;transform-origin:0 0;user-select:none}
.sharp img{image-rendering:pixelated}
.line{position:absolute;top:0;bottom:0;left:50%;width:14px;margin-left:-7px;cursor:ew-resize}
.line::before{content:"";position:absolute;inset:0 6px;background:#fff;
box-shadow:0 0 0 1px rgba(0,0,0,.55)}
.line::after{content:"";position:absolute;left:-5px;top:50%;width:24px;height:24px;margin-top:-12px;
border-radius:50%;background:#fff;box-shadow:0 0 0 1px rgba(0,0,0,.55)}
.tag{position:absolute;bottom:.5rem;padding:.1rem .5rem;border-radius:3px;font-weight:500;
font-size:.8rem;background:rgba(22,25,29,.72);color:#fff;pointer-events:none}
.left{left:.5rem}.right{right:.5rem}
.tools{display:flex;flex-wrap:wrap;gap:.4rem;align-items:center;margin-top:.5rem}
.tools input{flex:1 1 12rem;accent-color:var(--accent)}
button{font:500 .875rem/1 var(--sans);padding:.45rem .7rem;border:1px solid var(--rule);
border-radius:4px;background:var(--card);color:var(--ink);cursor:pointer}
output{min-width:3.5rem;text-align:right;color:var(--muted);font-size:.875rem;
font-variant-numeric:tabular-nums}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:40rem){body{padding:1.25rem 1rem 3rem}h1{font-size:1.8rem}.frame{height:60vh}}
"""

_JS = """
"use strict";
for (const viewer of document.querySelectorAll(".viewer")) {
  const frame = viewer.querySelector(".frame"), line = viewer.querySelector(".line");
  const images = [...viewer.querySelectorAll("img")], slider = viewer.querySelector("input");
  const size = [images[0].width, images[0].height], asked = Number(viewer.dataset.zoom);
  let zoom = 1, x = 0, y = 0, held = null;
  const box = () => [frame.clientWidth, frame.clientHeight];
  const fitting = () => Math.min(box()[0] / size[0], box()[1] / size[1], 16);
  const within = (at, length, room) => length <= room ? (room - length) / 2
    : Math.min(0, Math.max(room - length, at));
  function show() {
    const [w, h] = box();
    x = within(x, size[0] * zoom, w);
    y = within(y, size[1] * zoom, h);
    for (const image of images)
      image.style.transform = `translate(${x}px,${y}px) scale(${zoom})`;
    frame.classList.toggle("sharp", zoom >= 2);
    viewer.querySelector("output").textContent = Math.round(zoom * 100) + " %";
    const part = Number(slider.value);
    line.style.left = part + "%";
    viewer.querySelector(".new").style.clipPath = `inset(0 0 0 ${part}%)`;
    viewer.querySelector(".old").style.clipPath = `inset(0 ${100 - part}% 0 0)`;
  }
  function zoomTo(wanted, px = box()[0] / 2, py = box()[1] / 2) {
    const next = Math.min(32, Math.max(Math.min(fitting(), 1), wanted));
    x = px - (px - x) * next / zoom;
    y = py - (py - y) * next / zoom;
    zoom = next;
    show();
  }
  function start() {
    zoom = asked || fitting();
    x = (box()[0] - size[0] * zoom) / 2;
    y = (box()[1] - size[1] * zoom) / 2;
    show();
  }
  const deeds = {in: () => zoomTo(zoom * 1.5), out: () => zoomTo(zoom / 1.5), one: () => zoomTo(1),
    four: () => zoomTo(4), fit: () => zoomTo(fitting())};
  for (const button of viewer.querySelectorAll("button"))
    button.addEventListener("click", deeds[button.dataset.do]);
  slider.addEventListener("input", show);
  frame.addEventListener("wheel", event => {
    event.preventDefault();
    const at = frame.getBoundingClientRect();
    zoomTo(zoom * Math.exp(-event.deltaY / 400), event.clientX - at.left, event.clientY - at.top);
  }, {passive: false});
  frame.addEventListener("pointerdown", event => {
    held = {line: event.target === line, x: event.clientX - x, y: event.clientY - y};
    frame.setPointerCapture(event.pointerId);
    frame.classList.add("held");
  });
  frame.addEventListener("pointermove", event => {
    if (!held) return;
    const at = frame.getBoundingClientRect();
    if (held.line) slider.value = 100 * (event.clientX - at.left) / at.width;
    else [x, y] = [event.clientX - held.x, event.clientY - held.y];
    show();
  });
  for (const end of ["pointerup", "pointercancel"])
    frame.addEventListener(end, () => { held = null; frame.classList.remove("held"); });
  addEventListener("resize", show);
  start();
}
"""
