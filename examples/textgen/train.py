#!/usr/bin/python3
"""Trains textgen's language model and writes it as one file that the server maps into memory.

    train.py OUT_MODEL OUT_HELD_OUT

The text is what every Debian with Python has: the Python reference that `help()` shows
(pydoc_data.topics) and the licences in /usr/share/common-licenses. Paragraphs are shuffled with a
fixed seed after identical ones were merged; every twentieth is held out and never trained on.

The model: how often each character followed each of the last 0..7 characters, smoothed by
interpolated Kneser-Ney. Contexts of order 4 and more that occurred once are left out; the next
shorter one speaks for them.

The file (little endian): header, alphabet, slots of a hash table, records.
  header   "VTXG", u32 version, order, symbols, slots, record bytes, training characters, contexts;
           f32 held-out bits per character, f32 discounts[8]
  alphabet one byte a symbol, padded to 4
  slot     u32 check (upper half of the context's FNV-1a hash), u32 offset of its record + 1 or 0
  record   u32 total, u16 number of followers, then u8 symbol, u8 0, u16 count for each
"""
import array
import collections
import math
import pathlib
import random
import re
import struct
import sys
from pydoc_data.topics import topics

ORDER = 7
PRUNE_FROM = 4  # contexts this long need two occurrences
LICENSES = ["Apache-2.0", "Artistic", "BSD", "CC0-1.0", "GFDL-1.3", "GPL-1", "GPL-3", "LGPL-2.1", "MPL-2.0"]
PLAIN = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "...",
                       "•": "*", "\u00a0": " ", "\t": "    ", "\f": "\n", "≤": "<=", "≥": ">=", "×": "x"})


def read_text():
    """The paragraphs, each once, as plain ASCII."""
    parts = [topics[k] for k in sorted(topics)]
    for name in LICENSES:
        path = pathlib.Path("/usr/share/common-licenses") / name
        if path.is_file():
            parts.append(path.read_text(encoding="utf-8", errors="replace"))
    paragraphs = {}
    for part in parts:
        text = part.translate(PLAIN).encode("ascii", "ignore").decode()
        for paragraph in text.split("\n\n"):
            paragraph = "\n".join(line.rstrip() for line in paragraph.strip("\n").splitlines())
            # Tables and rulers teach nothing but columns of blanks.
            if paragraph.strip() and not re.search(r"^\s*[|+]|\S {6}|[-=*]{8}|^ {9}", paragraph, re.M):
                # Prose that was broken into lines becomes one line again; code stays as it is.
                paragraphs[re.sub(r"(?<=[\w,;.])\n *(?=[\w\"'(*])", " ", paragraph) if ">>>" not in paragraph
                           else paragraph] = None
    return list(paragraphs)


def split(paragraphs):
    random.Random(2).shuffle(paragraphs)
    held = "\n\n".join(paragraphs[::20]) + "\n\n"
    kept = "\n\n".join(p for i, p in enumerate(paragraphs) if i % 20) + "\n\n"
    return kept, held


def count(text):
    """For each order, {context: {symbol: count}}; below the highest, Kneser-Ney's continuation
    counts: in how many different ways the context was preceded, not how often it was seen."""
    tables, grams = [None] * (ORDER + 1), None
    for n in range(ORDER + 1, 0, -1):
        here = collections.Counter(text[i:i + n] for i in range(len(text) - n + 1))
        if grams is None:
            counted = here
        else:
            counted = collections.Counter(g[1:] for g in grams)
        table = collections.defaultdict(dict)
        for gram, c in counted.items():
            table[gram[:-1]][gram[-1]] = c
        if n - 1 >= PRUNE_FROM:
            seen = collections.Counter()
            for gram, c in here.items():
                seen[gram[:-1]] += c
            table = {k: v for k, v in table.items() if seen[k] > 1}
        tables[n - 1], grams = dict(table), here
    return tables


def discount(table):
    n1 = n2 = 0
    for followers in table.values():
        for c in followers.values():
            n1 += c == 1
            n2 += c == 2
    return n1 / (n1 + 2 * n2) if n1 and n2 else 0.5


def bits_per_character(tables, discounts, symbols, text):
    total = 0.0
    stats = [{k: (sum(v.values()), len(v)) for k, v in t.items()} for t in tables]
    for i, ch in enumerate(text):
        p = 1 / symbols
        for order in range(min(i, ORDER) + 1):
            context = text[i - order:i]
            if context not in stats[order]:
                break
            n, kinds = stats[order][context]
            d = discounts[order]
            p = (max(tables[order][context].get(ch, 0) - d, 0) + d * kinds * p) / n
        total -= math.log2(p)
    return total / len(text)


def fnv1a(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def pack(tables, alphabet, discounts, bits, trained):
    index = {ch: i for i, ch in enumerate(alphabet)}
    contexts = sum(len(t) for t in tables)
    slots = 1 << math.ceil(math.log2(contexts * 1.5))
    table, records = array.array("I", bytes(slots * 8)), bytearray()
    for t in tables:
        for context, followers in t.items():
            h = fnv1a(context.encode())
            at = h & (slots - 1)
            while table[at * 2 + 1]:
                at = at + 1 & (slots - 1)
            table[at * 2], table[at * 2 + 1] = h >> 32, len(records) + 1
            counts = [(index[ch], min(c, 65535)) for ch, c in sorted(followers.items())]
            records += struct.pack("<IH", sum(c for _, c in counts), len(counts))
            for symbol, c in counts:
                records += struct.pack("<BxH", symbol, c)
            records += bytes(-len(records) % 4)
    letters = alphabet.encode()
    header = struct.pack("<4s7If8f", b"VTXG", 1, ORDER, len(alphabet), slots, len(records), trained, contexts, bits, *discounts)
    if sys.byteorder == "big":
        table.byteswap()
    return header + letters + bytes(-len(letters) % 4) + table.tobytes() + records


def main():
    kept, held = split(read_text())
    alphabet = "".join(sorted(set(kept)))
    held = "".join(ch for ch in held if ch in alphabet)
    tables = count(kept)
    discounts = [discount(t) for t in tables]
    bits = bits_per_character(tables, discounts, len(alphabet), held)
    data = pack(tables, alphabet, discounts, bits, len(kept))
    pathlib.Path(sys.argv[1]).write_bytes(data)
    pathlib.Path(sys.argv[2]).write_text(held)
    print(f"textgen: trained on {len(kept)} characters, {len(data)} bytes of model, "
          f"held out {len(held)} characters: {bits:.3f} bits per character")


if __name__ == "__main__":
    main()
