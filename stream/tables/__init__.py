"""Tables of results, a row a recording: CSV, JSON lines, Parquet; written as they come, and gone on with."""
