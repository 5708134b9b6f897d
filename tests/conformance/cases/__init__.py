"""All cases, by what they are about"""
import importlib

import case

for name in ("request_line", "target", "fields", "framing", "chunks", "smuggling", "hops", "methods", "responses", "expect", "connection", "upgrade"):
    importlib.import_module(f"cases.{name}")

ALL = case.ALL
