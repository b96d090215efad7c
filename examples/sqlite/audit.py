#!/usr/bin/python3
"""Reads the demo's tables from the file, without any worker, and prints them: a line per row, sorted. Usage: audit.py DATABASE"""
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1])
for problem in db.execute("PRAGMA integrity_check").fetchall() + db.execute("PRAGMA foreign_key_check").fetchall():
    if problem != ("ok",):
        sys.exit(f"{sys.argv[1]}: {problem}")
tables = {"account": "id, owner, balance", "transfer": "id, debit, credit, amount", "entry": "transfer, account, amount"}
lines = ["|".join(map(str, (table, *row))) for table, columns in tables.items() for row in db.execute(f"SELECT {columns} FROM {table}")]
print("\n".join(sorted(lines)))
