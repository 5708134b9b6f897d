"""From a drawing to the 64 numbers that the model knows.

The data set (UCI optdigits, which scikit-learn carries) was made so: people wrote digits, each was
scanned, cut out, scaled to 32x32 black and white pixels, and the black pixels of every 4x4 block
were counted: 8x8 numbers from 0 to 16. A drawing from a canvas goes the same way here. What differs
most between pens and canvases is how thick a stroke is, so the drawing is thinned to its skeleton
first and gets strokes as thick as the scans had.
"""
import io

import numpy as np
from PIL import Image

WORK = 64  # twice the data set's 32, so that strokes have round edges
INK = 0.303  # of the data set's area is black, whatever the digit
STROKE = (3.0, 9.0)  # least and largest radius of a stroke in those pixels
WIDTH = 0.7  # of the square is what a digit takes at most from left to right


class BadDrawing(ValueError):
    """A sentence for who sent it."""


def load(data):
    """The picture as ink: 2-D floats, 0 paper, 1 ink."""
    try:
        picture = Image.open(io.BytesIO(data), formats=["PNG"])
        if picture.width * picture.height > 4_000_000 or min(picture.size) < 8:
            raise BadDrawing("the picture must have between 8x8 and 4 million pixels")
        picture = picture.convert("RGBA")
    except BadDrawing:
        raise
    except Exception as error:  # whatever the decoder finds wrong with it
        raise BadDrawing("this is no PNG that can be read") from error
    paper = Image.new("RGBA", picture.size, "white")
    ink = 1 - np.asarray(Image.alpha_composite(paper, picture).convert("L"), dtype=np.float32) / 255
    border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    if np.median(border) > 0.5:  # light strokes on dark paper
        ink = 1 - ink
    return ink


def crop(black):
    """The part of a picture that holds something."""
    rows, columns = np.flatnonzero(black.any(1)), np.flatnonzero(black.any(0))
    return black[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def scale(black, size):
    """Scaled so that its longer side is `size`."""
    height, width = black.shape
    factor = size / max(height, width)
    to = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = Image.fromarray(black.astype(np.uint8) * 255)
    return np.asarray(picture.resize(to, Image.BOX if factor < 1 else Image.BICUBIC)) > 100


def thin(black):
    """The skeleton (Zhang and Suen): pixels at the edge go, round after round, where nothing that
    hangs together would fall apart."""
    black = np.pad(black, 1).astype(np.uint8)
    changed = True
    while changed:
        changed = False
        for step in range(2):
            n = [np.roll(black, shift, (0, 1)) for shift in
                 ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))]
            around = sum(n)
            turns = sum((a == 0) & (b == 1) for a, b in zip(n, n[1:] + n[:1]))
            if step == 0:
                edge = (n[0] * n[2] * n[4] == 0) & (n[2] * n[4] * n[6] == 0)
            else:
                edge = (n[0] * n[2] * n[6] == 0) & (n[0] * n[4] * n[6] == 0)
            go = (black == 1) & (around >= 2) & (around <= 6) & (turns == 1) & edge
            if go.any():
                black[go] = 0
                changed = True
    return black[1:-1, 1:-1].astype(bool)


def pixels(ink):
    """64 numbers from 0 to 16."""
    black = ink > max(0.25, ink.max() * 0.4)
    if ink.max() < 0.15 or black.sum() < 4:
        raise BadDrawing("there is nothing drawn")
    skeleton = thin(scale(crop(black), 3 * WORK // 2))
    rows, columns = (axis - (axis.min() + axis.max()) / 2 for axis in np.nonzero(skeleton))
    height, width = max(np.ptp(rows), 1), np.ptp(columns)
    at = np.arange(WORK) - (WORK - 1) / 2
    radius = 5.0
    for _ in range(3):  # the thicker the strokes, the less room for the skeleton
        fit = (WORK - 2 * radius) / max(height, width / 2)
        narrow = min(1, (WIDTH * WORK - 2 * radius) / max(width * fit, 1))
        distance = ((at[:, None, None] - rows * fit) ** 2 + (at[:, None] - columns * fit * narrow) ** 2).min(2)
        radius = float(np.clip(np.sqrt(np.quantile(distance, INK)), *STROKE))
    field = distance <= radius ** 2
    block = WORK // 8
    return field.reshape(8, block, 8, block).sum((1, 3)).ravel() * (16 / block ** 2)
