"""Rasterises DejaVu Sans into glyphs.json: the letters that are drawn into pictures and generated slices.

Run with Pillow and the Debian package fonts-dejavu-core:  python3 api/imaging/font/make_font.py
Coverage is kept at 4 bits per pixel, two pixels a byte (left one high), rows padded to whole bytes, base64.
"""

import base64
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FOLDER = Path("/usr/share/fonts/truetype/dejavu")
FACES = {"11": ("DejaVuSans.ttf", 11), "13": ("DejaVuSans.ttf", 13), "16": ("DejaVuSans.ttf", 16), "24b": ("DejaVuSans-Bold.ttf", 24)}
CHARACTERS = [chr(code) for code in range(32, 127)] + list("°±–·×≥≤²³")


def glyph(font, character):
    """[advance, left, top, width, height, coverage]; left and top from the pen and the top of the line."""
    left, top, right, bottom = font.getbbox(character)
    width, height = max(0, right - left), max(0, bottom - top)
    if character == " " or width == 0:
        return [round(font.getlength(character), 2), 0, 0, 0, 0, ""]
    image = Image.new("L", (width, height), 0)
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font)
    packed = bytearray()
    for y in range(height):
        row = [round(image.getpixel((x, y)) / 17) for x in range(width)] + [0] * (width % 2)
        packed += bytes(row[i] << 4 | row[i + 1] for i in range(0, len(row), 2))
    return [round(font.getlength(character), 2), left, top, width, height, base64.b64encode(packed).decode()]


def main():
    faces = {}
    for name, (file, size) in FACES.items():
        font = ImageFont.truetype(str(FOLDER / file), size)
        ascent, descent = font.getmetrics()
        faces[name] = {"lineHeight": ascent + descent, "glyphs": {c: glyph(font, c) for c in CHARACTERS}}
    result = {
        "source": "DejaVu Sans 2.37 (Debian package fonts-dejavu-core), rasterised by make_font.py",
        "licence": "Bitstream Vera and Arev font licences, see LICENSE.txt beside this file",
        "faces": faces,
    }
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    Path(__file__).with_name("glyphs.json").write_text(text + "\n", encoding="utf-8")


main()
