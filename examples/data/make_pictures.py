#!/usr/bin/env python3
"""Draws the two pictures that the ocr example reads: receipt.png (clean) and notice.jpg (like a photograph).

Needs Pillow, numpy and OpenCV, and the fonts of the Debian packages fonts-dejavu-core and fonts-liberation.
The result does not depend on chance: noise comes from a fixed seed.
Usage: make_pictures.py [FOLDER]   (default: the folder of this script)
"""
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = Path("/usr/share/fonts/truetype")


def font(name, size):
    family = "dejavu" if name.startswith("DejaVu") else "liberation"
    return ImageFont.truetype(str(FONTS / family / f"{name}.ttf"), size)


def put(draw, y, text, face, x=None, width=None, right=None, fill="black", gap=0.5):
    """Writes a line with its top at y: at x, up to right, or centred in width. gap: between words, in font sizes."""
    words = text.split(" ")
    lengths = [draw.textlength(word, font=face) for word in words]
    length = sum(lengths) + gap * face.size * (len(words) - 1)
    if x is None:
        x = right - length if right is not None else (width - length) / 2
    for word, advance in zip(words, lengths):
        draw.text((x, y), word, font=face, fill=fill)
        x += advance + gap * face.size


def draw_receipt():
    width, height = 620, 900
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    mono = font("LiberationMono-Regular", 24)
    mono_bold = font("LiberationMono-Bold", 26)
    put(draw, 36, "HARBOUR STREET BAKERY", font("LiberationSans-Bold", 38), width=width)
    put(draw, 92, "14 Harbour Street, Bristol", font("LiberationSans-Regular", 24), width=width)
    put(draw, 126, "Tel. 0117 496 0355", font("LiberationSans-Regular", 24), width=width)
    put(draw, 178, "Saturday 21 November 2026", mono, x=44)
    put(draw, 178, "09:42", mono, right=width - 44)
    draw.line((44, 222, width - 44, 222), fill="black", width=2)
    items = [("2 Sourdough loaf", "7.80"), ("1 Rye bread, sliced", "4.25"), ("4 Cinnamon bun", "9.60"),
             ("1 Apple turnover", "2.75"), ("2 Flat white", "6.40"), ("1 Orange juice 250 ml", "3.10")]
    y = 246
    for name, price in items:
        put(draw, y, name, mono, x=44)
        put(draw, y, price, mono, right=width - 44)
        y += 44
    draw.line((44, y + 4, width - 44, y + 4), fill="black", width=2)
    y += 26
    for name, price, face in [("Subtotal", "33.90", mono), ("Discount 10%", "-3.39", mono),
                              ("TOTAL", "GBP 30.51", mono_bold)]:
        put(draw, y, name, face, x=44)
        put(draw, y, price, face, right=width - 44)
        y += 46
    put(draw, y + 10, "Paid by card ending 4417", mono, x=44)
    put(draw, y + 54, "Approved, code 093581", mono, x=44)
    put(draw, y + 122, "Thank you for your visit!", font("LiberationSerif-Italic", 34), width=width)
    put(draw, y + 176, "Open every day from 7 am to 6 pm", font("LiberationSans-Regular", 22), width=width)
    return page


def draw_notice():
    width, height = 1000, 1240
    page = Image.new("RGB", (width, height), (250, 247, 238))
    draw = ImageDraw.Draw(page)
    ink = (38, 36, 44)
    draw.rectangle((0, 0, width, 150), fill=(30, 74, 110))
    put(draw, 34, "Riverside Library", font("DejaVuSerif-Bold", 68), width=width, fill=(250, 250, 250))
    put(draw, 190, "WINTER OPENING HOURS", font("LiberationSans-Bold", 54), width=width, fill=(150, 30, 30))
    sans, bold = font("DejaVuSans", 34), font("DejaVuSans-Bold", 34)
    for i, (days, hours) in enumerate([("Monday to Thursday", "09:00 - 19:30"), ("Friday", "09:00 - 17:00"),
                                       ("Saturday", "10:00 - 16:00"), ("Sunday", "closed")]):
        put(draw, 290 + 62 * i, days, sans, x=90, fill=ink)
        put(draw, 290 + 62 * i, hours, bold, right=width - 90, fill=ink)
    draw.line((90, 552, width - 90, 552), fill=ink, width=3)
    serif = font("LiberationSerif-Regular", 36)
    for i, text in enumerate(["The reading room on the second floor stays",
                              "open during the building works. Please use",
                              "the side entrance in Mill Lane until March."]):
        put(draw, 584 + 52 * i, text, serif, x=90, fill=ink)
    put(draw, 770, "Story time for children", font("LiberationSerif-BoldItalic", 46), x=90, fill=(20, 96, 60))
    italic = font("LiberationSans-Italic", 33)
    put(draw, 836, "Every Wednesday at 15:30, no booking needed", italic, x=90, fill=ink)
    mono = font("LiberationMono-Bold", 30)
    for i, text in enumerate(["Phone 01632 960 147", "Email desk@riverside-library.example"]):
        put(draw, 920 + 50 * i, text, mono, x=90, fill=ink)
    small = font("DejaVuSans", 26)
    put(draw, 1052, "Lost property is kept for thirty days at the front desk.", small, x=90, fill=ink)
    # A label stuck on upside down and a print mark along the right edge: work for the angle network.
    label = Image.new("RGB", (430, 84), (246, 214, 92))
    put(ImageDraw.Draw(label), 18, "HANDLE WITH CARE", font("LiberationSans-Bold", 40), width=430, fill=ink)
    page.paste(label.rotate(180), (90, 1122))
    mark = Image.new("RGB", (330, 44), (250, 247, 238))
    put(ImageDraw.Draw(mark), 4, "Form LB-2207 rev. 3", font("LiberationSans-Regular", 30), x=4, fill=ink)
    page.paste(mark.rotate(90, expand=True), (width - 64, 880))
    return page


def photograph(page):
    """The page as a camera sees it: from the side, on a table, in the light of one lamp, a little out of focus."""
    rng = np.random.default_rng(20261121)
    source = cv2.cvtColor(np.array(page), cv2.COLOR_RGB2BGR)
    h, w = source.shape[:2]
    width, height = 1180, 1320
    table = np.full((height, width, 3), (58, 84, 112), np.float32)
    grain = cv2.GaussianBlur(rng.normal(0, 60, (height, width)).astype(np.float32), (0, 0), sigmaX=40, sigmaY=2)
    table += grain[..., None] * 4
    corners = np.float32([[150, 62], [1060, 128], [1112, 1262], [58, 1180]])
    matrix = cv2.getPerspectiveTransform(np.float32([[0, 0], [w, 0], [w, h], [0, h]]), corners)
    seen = cv2.warpPerspective(source, matrix, (width, height), flags=cv2.INTER_AREA).astype(np.float32)
    cover = cv2.warpPerspective(np.full((h, w), 255, np.uint8), matrix, (width, height))[..., None] / np.float32(255)
    shadow = np.roll(cv2.GaussianBlur(cover[..., 0], (0, 0), 14), (14, 10), (0, 1))[..., None]
    scene = table * (1 - 0.45 * shadow) * (1 - cover) + seen * cover
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 0.52 + 0.56 * np.exp(-(((x - 330) / 900) ** 2 + ((y - 300) / 950) ** 2))
    tint = np.float32([0.90, 0.97, 1.03])
    scene = cv2.GaussianBlur(scene * light[..., None] * tint, (0, 0), 0.9)
    scene += rng.normal(0, 4.5, scene.shape)
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    draw_receipt().quantize(64).convert("RGB").save(folder / "receipt.png", optimize=True)
    cv2.imwrite(str(folder / "notice.jpg"), photograph(draw_notice()), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
